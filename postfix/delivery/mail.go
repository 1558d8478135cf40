// Package delivery predicts what happens to a message after it was signed: what
// Postfix does to it on its way out, and servers after that.
package delivery

import (
	"context"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// Mail is a message that is handed to Postfix and that the milter signs, or
// not, with what is needed to predict its delivery.
type Mail struct {
	Header []Field
	Body   []byte // lines end in CRLF, or in a bare LF where that was so
	// BodyLine is the number of the first line of the body in the file.
	BodyLine int
	// Signed are the names in h= in lower case: a name that stands there once
	// more than the field occurs must not be added later. Empty for an
	// unsigned message.
	Signed []string
	// Signatures are the values of the DKIM-Signature fields that were made,
	// and Domains their d=.
	Signatures, Domains []string
	// RelaxedHeader and RelaxedBody are the canonicalization.
	RelaxedHeader, RelaxedBody bool
	// Local says that it is submitted with sendmail(1).
	Local bool
	// SevenBit says that the next hop does not offer 8BITMIME.
	SevenBit bool
}

// Field is a header field: Value is all after the colon, folds included,
// without the final line end. Line is its number in the file.
type Field struct {
	Name, Value string
	Line        int
}

// Predict says what Postfix under this configuration, or a server after it, does
// to the message that breaks its signature, keeps it from being signed, or
// changes it unnoticed. Tables are looked up with postmap(1) where it is
// installed.
func Predict(ctx context.Context, c *postfix.Config, m Mail) []finding.Finding {
	path := PathOf(c)
	findings := slices.Concat(m.bounce(c), m.arrival(c), m.lines(c, path), m.controls())
	if len(m.Signed) > 0 {
		findings = slices.Concat(findings, m.eightBit(c, path), m.missing(c), m.relayAdds(c, path),
			m.others(), m.rewriting(ctx, c, path), Replaced(c, m.signs), m.signatures(c))
	}
	return findings
}

// field returns the first field with the name.
func (m Mail) field(name string) (Field, bool) {
	for _, f := range m.Header {
		if f.is(name) {
			return f, true
		}
	}
	return Field{}, false
}

func (f Field) is(name string) bool {
	return strings.EqualFold(strings.TrimRight(f.Name, " \t"), name)
}

func (m Mail) has(name string) bool {
	_, ok := m.field(name)
	return ok
}

// signs reports whether a field is in h=, be it only to keep it from being
// added.
func (m Mail) signs(name string) bool {
	return slices.Contains(m.Signed, strings.ToLower(strings.TrimRight(name, " \t")))
}
