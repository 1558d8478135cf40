package settings

import (
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"268435456": 256 << 20, "256MiB": 256 << 20, "16M": 16 << 20, "32768K": 32 << 20,
		"1G": 1 << 30, "16777216B": 16 << 20, "1024GiB": 1 << 40,
	} {
		if got, err := parseMemory(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MiB", "lots", "-1G", "15M", "16777215", "1025G", "99999999999999999999", "1.5G", "64 MiB", "64MB", "64Mi", "1T"} {
		_, err := parseMemory(text)
		if err == nil || !strings.Contains(finding.Text(err), "must be a size between 16MiB and 1024GiB; hint: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
