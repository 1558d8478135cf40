package delivery

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	"signpost/postfix"
)

// answer is what a table says of one key: of header_checks(5) an action and its
// text, of other tables some text.
type answer struct{ key, action, text string }

// changes reports whether the action changes a message that is delivered.
func (a answer) changes() bool {
	switch a.action {
	case "REPLACE", "IGNORE", "STRIP", "PREPEND":
		return true
	}
	return false
}

// query asks a table with postmap(1): mode is -q for a key a line, -hq, -hmq and
// -bmq for the header, the headers of parts or the body of a message. known is
// false when the lookup fails.
func query(ctx context.Context, c *postfix.Config, table, mode, text string) (answers []answer, known bool) {
	program, err := exec.LookPath("postmap")
	if err != nil {
		return nil, false
	}
	args := []string{mode, "-", table}
	if filepath.Base(c.Path) == "main.cf" {
		args = append([]string{"-c", filepath.Dir(c.Path)}, args...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	// A TAB parts key and value in what it prints.
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(text, "\t", " "))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	// It exits with 1 when nothing was found, and also when it failed.
	if strings.Contains(said.String(), "fatal:") || strings.Contains(said.String(), "error:") ||
		err != nil && len(out) == 0 && said.Len() > 0 {
		return nil, false
	}
	key := ""
	for line := range strings.Lines(string(out)) {
		before, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		if key == "" {
			key = before
		}
		if !found {
			continue // the first lines of a folded field
		}
		action, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
		answers = append(answers, answer{key, strings.ToUpper(action), strings.TrimSpace(rest)})
		key = ""
	}
	return answers, true
}
