package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"signpost/cmd/internal/settings"
)

// The table of options in README.md says what the program does.
func TestReadmeHasTheOptions(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range settings.ForDaemon() {
		value := ""
		if o.Default != "" {
			value = "`" + o.Default + "`"
		}
		row := fmt.Sprintf("| `--%s` | `%s` | %s | %s |\n", o.Name, strings.Join(o.Variables, "` `"), value, strings.ReplaceAll(o.Usage, "`", ""))
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md lacks\n%s", row)
		}
	}
}

// /etc/default/signpostd of the Debian package names every setting and sets none.
func TestDefaultsOfThePackage(t *testing.T) {
	file, err := os.ReadFile("../../docker/debian/signpostd.default")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		if line != "\n" && line[0] != '#' {
			t.Errorf("it sets %s", line)
		}
	}
	for _, o := range settings.ForDaemon() {
		value := o.Default
		if o.Name == "state" {
			value = "/var/lib/signpost" // set by the unit
		}
		if line := "\n#" + o.Variables[0] + "=" + value + "\n"; !strings.Contains(string(file), line) {
			t.Errorf("it lacks %q", line)
		}
	}
}
