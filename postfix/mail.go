package postfix

import (
	"context"
	"slices"
	"strings"
)

// Mail is a message that is handed to Postfix and that the milter signs, or
// not, with what is needed to say what becomes of it.
type Mail struct {
	Header []MailField
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
	// Local says that it is submitted with sendmail(1).
	Local bool
	// SevenBit says that the next hop does not offer 8BITMIME.
	SevenBit bool
}

// MailField is a header field: Value is all after the colon, folds included,
// without the final line end. Line is its number in the file.
type MailField struct {
	Name, Value string
	Line        int
}

// Predict says what Postfix under this configuration, or a server after it, does
// to the message that breaks its signature, keeps it from being signed, or
// changes it unawares. Tables are looked up with postmap(1) where it is
// installed.
func (c *Config) Predict(ctx context.Context, m Mail) []Finding {
	fate := c.Fate()
	findings := slices.Concat(c.arrival(m), m.lines(fate), m.controls())
	if len(m.Signed) > 0 {
		findings = slices.Concat(findings, m.eightBit(c, fate), m.missing(c), m.others(), c.delivery(ctx, m, fate))
	}
	return findings
}

// field returns the first field with the name.
func (m Mail) field(name string) (MailField, bool) {
	for _, f := range m.Header {
		if f.is(name) {
			return f, true
		}
	}
	return MailField{}, false
}

func (f MailField) is(name string) bool {
	return strings.EqualFold(strings.TrimRight(f.Name, " \t"), name)
}

func (m Mail) has(name string) bool {
	_, ok := m.field(name)
	return ok
}

// signs reports whether a field is in h=, be it only to keep it from being
// added.
func (m Mail) signs(name string) bool { return slices.Contains(m.Signed, strings.ToLower(name)) }
