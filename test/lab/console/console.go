// Package console reads the terminal sessions of a page of documentation, so that a test
// can run the commands and compare what they print with what stands there.
package console

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A Step is one command with its output, in which "…" stands for anything.
type Step struct{ Command, Output string }

// Read returns the console blocks in the section of a page with a heading such as
// "## A new domain", each as its commands.
func Read(page, heading string) (blocks [][]Step, err error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		return nil, fmt.Errorf("%s has no section %q", page, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return Parse(section), nil
}

// Parse returns the console blocks in a text.
func Parse(text string) (blocks [][]Step) {
	var block []Step
	inside, prompt := false, ""
	for line := range strings.Lines(text) {
		if inside && len(block) == 0 && len(line) > 2 {
			prompt = line[:2] // "$ ", or "# " of root
		}
		switch last := len(block) - 1; {
		case strings.HasPrefix(line, "```"):
			if len(block) > 0 {
				blocks = append(blocks, block)
			}
			block, inside = nil, strings.HasPrefix(line, "```console")
		case !inside:
		case last >= 0 && strings.HasSuffix(block[last].Command, "\\") && block[last].Output == "":
			block[last].Command = strings.TrimSuffix(block[last].Command, "\\") + strings.TrimSpace(line)
		case strings.HasPrefix(line, prompt):
			block = append(block, Step{Command: strings.TrimSpace(line[2:])})
		case last >= 0:
			block[last].Output += line
		}
	}
	return blocks
}

// Matches reports whether a command printed what the step shows. What differs from one run
// to the next need not be the same: times, days, and the days in selectors, in the order in
// which they stand there.
func (s Step) Matches(printed string) bool {
	parts := strings.Split(timeless(s.Output), "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	pattern := regexp.MustCompile("^(?s:" + strings.Join(parts, ".*") + ")$")
	return pattern.MatchString(timeless(printed))
}

// What a day or a time changes: the selectors that are made of it, and how it is written.
var (
	selector = regexp.MustCompile(`s20\d{6}`)
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	day      = regexp.MustCompile(`\b\d{1,2} (January|February|March|April|May|June|July|August|` +
		`September|October|November|December)\b`)
)

// timeless returns a text without what times change. Of two selectors one stays the first
// and the other the second, and all have the width that they had.
func timeless(text string) string {
	seen := make(map[string]string)
	text = selector.ReplaceAllStringFunc(strings.TrimRight(text, "\n"), func(name string) string {
		if seen[name] == "" {
			seen[name] = fmt.Sprintf("s200000%02d", len(seen)+1)
		}
		return seen[name]
	})
	return day.ReplaceAllString(moment.ReplaceAllString(text, "2000-01-01 00:00:00"), "1 January")
}
