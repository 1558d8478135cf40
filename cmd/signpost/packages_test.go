package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The companion reads the status page, and neither serves one nor keeps metrics. It has
// html/template, for it writes a page of reports, which are full of hostile text.
func TestPackages(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		for _, left := range []string{"github.com/prometheus/", "signpost/cmd/signpostd"} {
			if strings.HasPrefix(name, left) || name == "signpost/milter/status" {
				t.Errorf("signpost links %s", name)
			}
		}
	}
}
