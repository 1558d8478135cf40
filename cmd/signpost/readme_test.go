package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The table of commands in README.md says what the commands say.
func TestReadmeHasTheVerbs(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range verbs() {
		row := fmt.Sprintf("| `signpost %s` | %s |\n", verb.Name, verb.Usage)
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md lacks\n%s", row)
		}
	}
}
