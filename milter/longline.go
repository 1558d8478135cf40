package milter

import (
	"fmt"
	"log/slog"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
	"signpost/milter/longline"
)

// LongLine is a line over the limit of SMTP that breaks the signature: Postfix breaks it
// in two when it delivers.
type LongLine struct {
	Field  string // that it is a line of; empty for the body
	Number int    // in the body, from 1
	Octets int
}

// err says what is wrong, with what to do.
func (l *LongLine) err() error {
	where, hint := "the body", "let the program that writes the message encode its text as quoted-printable or base64"
	if l.Field != "" {
		where, hint = "the field "+l.Field, "let the program that writes the message fold the field at white space"
	}
	return finding.WithHint(fmt.Errorf("a line of %s has %d octets, and Postfix breaks lines over %d after signing",
		where, l.Octets, longline.Limit), "%s; Postfix leaves lines whole with smtp_line_length_limit = 0", hint)
}

// attrs are for the log.
func (l *LongLine) attrs() []any {
	place := slog.Int("line", l.Number)
	if l.Field != "" {
		place = slog.String("field", l.Field)
	}
	return []any{place, "octets", l.Octets, finding.Attr(l.err())}
}

// lineRules are those of header and body.
type lineRules struct{ header, body longline.Rule }

func lineRulesOf(p *dkim.Policy) lineRules {
	return lineRules{
		header: longline.Rule{Limit: longline.Limit, Relaxed: p.Header == dkim.Relaxed},
		body:   longline.Rule{Limit: longline.Limit, Relaxed: p.Body == dkim.Relaxed},
	}
}

// longField looks for a line that is too long in a field that is signed. Breaking it in
// another field makes a fold, which harms nothing.
func (m *message) longField(s *Server, name, value []byte) {
	if len(name)+len(value) < longline.Limit || m.long != nil || !s.recipe.Signs(name) {
		return
	}
	if octets, breaks := s.lines.header.Field(string(name), string(value)); breaks {
		m.long = &LongLine{Field: string(name), Octets: octets}
	}
}

// longBody ends the search in the body.
func (m *message) longBody() {
	if line, breaks := m.body.End(); breaks && m.long == nil {
		m.long = &LongLine{Number: line.Number, Octets: line.Octets}
	}
}

// Part is "header" or "body".
func (l *LongLine) Part() string {
	if l.Field != "" {
		return "header"
	}
	return "body"
}
