package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The companion reads the status page, and neither serves one nor keeps metrics.
func TestPackages(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		for _, left := range []string{"github.com/prometheus/", "html/template", "signpost/cmd/signpostd"} {
			if strings.HasPrefix(name, left) {
				t.Errorf("signpost links %s", name)
			}
		}
	}
}
