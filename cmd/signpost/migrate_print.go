package main

import (
	"fmt"
	"os"
	"strings"

	miekg "github.com/miekg/dns"
	"github.com/urfave/cli/v2"

	"signpost/milter/verify"
)

// print shows everything that a switch is about to do.
func (m *cutOver) print(c *cli.Context) {
	w := c.App.Writer
	fmt.Fprintf(w, "%s: %s\n", m.plan.Path, m.plan.What)
	printImportedKeys(w, keyResults(m.steps))
	printFindings(c, m.findings)
	if m.edit == nil {
		return
	}
	if len(m.settings) > 0 {
		where := "for the environment of signpostd"
		if m.unit != nil {
			where = "for " + unitSettings
		}
		fmt.Fprintf(w, "\n%s:\n\n", where)
		printSettings(w, m.settings)
	}
	good := 0
	for _, r := range m.results {
		if r.err == nil {
			good++
		}
	}
	if len(m.results) > 0 {
		fmt.Fprintf(w, "\nsigned by both and compared: %d of %s the same, in d= and s=, and verify\n", good,
			plural(len(m.results), "domain"))
	}
	for _, note := range alike(m.results) {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	for _, note := range m.edit.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	fmt.Fprintf(w, "\n%s", m.edit.Change.Diff())
}

// command is what to type to do the same again.
func (m *cutOver) command(c *cli.Context) string {
	return "signpost " + strings.Join(os.Args[1:], " ")
}

// backCommand is what to type to take it back.
func backCommand(dir string) string {
	if dir == "/etc/postfix" {
		return "signpost migrate --back"
	}
	return "signpost migrate --back --config-dir " + shellWord(dir)
}

// records are those of a journal as the DNS has them.
func (j *journal) records() (list []miekg.RR) {
	for name, text := range j.Records {
		list = append(list, verify.NewTXT(name, text))
	}
	return list
}
