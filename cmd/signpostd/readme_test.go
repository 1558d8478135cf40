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
