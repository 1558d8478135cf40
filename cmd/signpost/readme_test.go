package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/test/lab/console"
)

// The table of commands in README.md says what the commands say.
func TestReadmeHasTheVerbs(t *testing.T) {
	t.Parallel()
	readme := readFile(t, "README.md")
	for _, verb := range verbs() {
		row := fmt.Sprintf("| `signpost %s` | %s |\n", verb.Name, verb.Usage)
		if !strings.Contains(readme, row) {
			t.Errorf("README.md lacks\n%s", row)
		}
	}
}

var (
	link        = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	headingSign = regexp.MustCompile("[^a-z0-9 -]")
)

// Every README.md is linked from the first one, and every link leads to a file
// and a heading that exist.
func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	todo, seen := []string{filepath.Join(root, "README.md")}, map[string]bool{}
	for len(todo) > 0 {
		file := todo[0]
		todo = todo[1:]
		if seen[file] {
			continue
		}
		seen[file] = true
		for _, m := range link.FindAllStringSubmatch(readFile(t, file), -1) {
			target := file
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(file), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
				continue
			}
			if m[2] != "" && !hasHeading(readFile(t, target), m[2]) {
				t.Errorf("%s links to %s, which has no heading #%s", file, target, m[2])
			}
			if filepath.Base(target) == "README.md" {
				todo = append(todo, target)
			}
		}
	}
	pages, _ := filepath.Glob(filepath.Join(root, "*", "README.md"))
	deeper, _ := filepath.Glob(filepath.Join(root, "*", "*", "README.md"))
	for _, page := range append(pages, deeper...) {
		if !seen[page] {
			t.Errorf("no link leads to %s", page)
		}
	}
}

// Every page shows commands and flags that there are, in sessions and within the text.
func TestPagesHaveRealCommands(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	inText, aFlag := regexp.MustCompile("`([^`]*)`"), regexp.MustCompile("^--([a-z][a-z-]*)")
	known := []string{"help", "version", "check",
		"rm", "user", "read-only", "cap-drop", "server-side"} // of docker and kubectl
	for _, setting := range settings.ForDaemon() {
		known = append(known, setting.Name)
	}
	all := verbs()
	eachCommand("signpost", all, func(_ string, command *cli.Command) {
		for _, flag := range command.Flags {
			known = append(known, flag.Names()...)
		}
	})
	lines := 0
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil || path == root:
			return err
		case entry.IsDir() && (name[0] == '.' || name == "build" || name == "testdata"):
			return filepath.SkipDir
		case filepath.Ext(name) != ".md":
			return nil
		}
		text := readFile(t, path)
		for _, block := range console.Parse(text) {
			for _, step := range block {
				checkTyped(t, all, path, step.Command)
				lines++
			}
		}
		prose := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
		for _, code := range inText.FindAllStringSubmatch(prose, -1) {
			if strings.HasPrefix(code[1], "signpost ") {
				checkTyped(t, all, path, strings.ReplaceAll(code[1], "\n", " "))
				lines++
			}
			if flag := aFlag.FindStringSubmatch(code[1]); flag != nil && !slices.Contains(known, flag[1]) {
				t.Errorf("%s: neither program has %s", path, code[1])
			}
		}
		return nil
	})
	if err != nil || lines < 100 {
		t.Errorf("%d command lines, %v", lines, err)
	}
}

// hasHeading looks for the heading of an anchor, as GitHub names it.
func hasHeading(text, anchor string) bool {
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
			name = headingSign.ReplaceAllString(strings.ToLower(strings.TrimSpace(name)), "")
			if strings.ReplaceAll(name, " ", "-") == anchor {
				return true
			}
		}
	}
	return false
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
