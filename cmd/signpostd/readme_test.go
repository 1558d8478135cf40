package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The table of options in the README says what the program does.
func TestReadmeHasTheOptions(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(options(), switches()...) {
		value := ""
		if o.value != "" {
			value = "`" + o.value + "`"
		}
		row := fmt.Sprintf("| `--%s` | `%s` | %s | %s |\n", o.name, strings.Join(o.variables, "` `"), value, strings.ReplaceAll(o.usage, "`", ""))
		if !strings.Contains(string(readme), row) {
			t.Errorf("the README lacks\n%s", row)
		}
	}
}
