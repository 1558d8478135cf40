package record

import (
	"strings"

	"signpost/keystore/finding"
)

// linter collects what is wrong with the records at one name.
type linter struct {
	name     string
	publish  *finding.Record // what should be there; nil where that cannot be told
	fix      string          // what to do then
	findings []finding.Finding
}

// want sets the value that should be at the name.
func (l *linter) want(value string) { l.publish = &finding.Record{Name: l.name, Value: value} }

// wrong adds a finding that is cured by publishing the right value.
func (l *linter) wrong(level finding.Level, code, what, effect string) {
	l.wrongBut("", level, code, what, effect)
}

// wrongBut is wrong with something else to do first, which ends in "and".
func (l *linter) wrongBut(first string, level finding.Level, code, what, effect string) {
	if l.publish == nil {
		l.add(level, code, what, effect, strings.TrimSpace(first+" "+l.fix))
		return
	}
	l.add(level, code, what, effect, first)
	record := *l.publish // whoever gets the finding may change it
	l.findings[len(l.findings)-1].Publish = &record
}

// note adds what needs no cure.
func (l *linter) note(code, what, effect string) {
	l.add(finding.Note, code, what, effect, "")
}

func (l *linter) add(level finding.Level, code, what, effect, fix string) {
	l.findings = append(l.findings, finding.Finding{
		Code: code, Level: level, Name: l.name, What: what, Effect: effect, Fix: fix,
	})
}

// nearest returns the word that a misspelt one most likely stands for, or "".
func nearest(misspelt string, words ...string) string {
	best, least := "", 3
	for _, word := range words {
		if d := finding.Distance(misspelt, word); d < least && d < len(word) && len(misspelt) >= len(word)-1 {
			best, least = word, d
		}
	}
	return best
}
