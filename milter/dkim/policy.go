package dkim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"signpost/keystore/finding"
)

// Policy says what is signed and how. It is not changed once in use, so all
// messages may share one. The zero Policy is simple/simple with the default
// fields.
type Policy struct {
	Header, Body Canonicalization

	// Sign names the header fields to sign, each as often as it occurs.
	// Case does not matter. nil: DefaultSign().
	Sign []string

	// Oversign names fields to list in h= once more than they occur, so that
	// one added later breaks the signature (RFC 6376, section 8.15). Each must
	// be in Sign. nil: those of DefaultOversign() that are in Sign.
	Oversign []string

	// Expiration is the life of a signature: x= is t= plus this, in whole
	// seconds. 0: no x=.
	Expiration time.Duration
}

// DefaultSign returns the names signed when a Policy names none, in the order
// of h=. They are those of RFC 6376, section 5.4.1, with what shows or drives
// a message in today's readers: the MIME fields, Message-ID, Sender, the rest
// of a resent block (RFC 5322, section 3.6.6, without Resent-Bcc), and
// List-Unsubscribe-Post, which RFC 8058, section 4, wants signed.
func DefaultSign() []string {
	return []string{
		"From", "Sender", "Reply-To", "Subject", "Date", "Message-ID",
		"To", "Cc", "In-Reply-To", "References",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
		"Resent-Date", "Resent-From", "Resent-Sender", "Resent-To",
		"Resent-Cc", "Resent-Message-ID",
		"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post",
		"List-Subscribe", "List-Post", "List-Owner", "List-Archive",
	}
}

// DefaultOversign returns the names oversigned when a Policy names none: what
// a reader is shown or how the body is read. A list or a forwarder has good
// reason to add any other.
func DefaultOversign() []string {
	return []string{
		"From", "Reply-To", "Subject", "Date", "To", "Cc",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	}
}

// Validate returns the first thing wrong with p: an unknown
// canonicalization, a name that is no field name, is listed twice or must not
// be signed, From not signed, a name oversigned but not signed, or an
// expiration below one second.
func (p *Policy) Validate() error {
	if p.Header > Relaxed || p.Body > Relaxed {
		return finding.WithHint(fmt.Errorf("unknown canonicalization %s/%s", p.Header, p.Body),
			"use simple or relaxed")
	}
	if p.Expiration != 0 && p.Expiration < time.Second {
		return finding.WithHint(fmt.Errorf("expiration %s is too short", p.Expiration),
			"x= counts whole seconds, use 0 for no expiration")
	}
	sign, _ := p.fields()
	for i, name := range sign {
		if err := checkSigned(name); err != nil {
			return err
		}
		if listed(sign[:i], name) {
			return finding.WithHint(fmt.Errorf("field %s is to be signed twice", name),
				"list it once, all that occur are signed")
		}
	}
	if !listed(sign, "From") {
		return finding.WithHint(errors.New("field From is not to be signed"),
			"add From, RFC 6376 section 5.4 demands it")
	}
	for i, name := range p.Oversign {
		if !listed(sign, name) {
			return finding.WithHint(fmt.Errorf("field %q is oversigned but not signed", name),
				"add it to the signed fields too")
		}
		if listed(p.Oversign[:i], name) {
			return finding.WithHint(fmt.Errorf("field %s is oversigned twice", name),
				"list it once")
		}
	}
	return nil
}

// fields returns the two lists with the defaults filled in. The second may
// then have names that are not in the first, which have no effect.
func (p *Policy) fields() (sign, oversign []string) {
	sign, oversign = p.Sign, p.Oversign
	if sign == nil {
		sign = DefaultSign()
	}
	if oversign == nil {
		oversign = DefaultOversign()
	}
	return sign, oversign
}

// listed reports whether name is in list. Case does not matter.
func listed(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

// checkSigned refuses what cannot stand in h= and what would not stay.
func checkSigned(name string) error {
	if !isFieldName(name) {
		return finding.WithHint(fmt.Errorf("%q is not a header field name", name),
			"use printable ASCII without space, colon and semicolon, at most %d characters", maxFieldName)
	}
	switch lower(name) {
	// RFC 6376, section 5.4: no field that is likely to be changed or removed
	// on the way. Return-Path is rewritten at delivery (RFC 5321, section 4.4);
	// Bcc is taken out before it (RFC 5322, section 3.6.3); Received and
	// Authentication-Results are rewritten or dropped at borders (RFC 8601,
	// section 5). DKIM-Signature: our own is one too, so with two keys or a
	// later signer the count from the bottom no longer holds, and section 3.5
	// forbids h= to include the one being made.
	case "return-path", "received", "bcc", "resent-bcc", "dkim-signature", "authentication-results":
		return finding.WithHint(fmt.Errorf("field %s must not be signed", name),
			"take it off the list, mail servers on the way change or remove it")
	}
	return nil
}

// maxFieldName keeps a name with `h=`, its colon and the fold on one line of
// 78.
const maxFieldName = lineWidth - len("\th=:")

// isFieldName applies RFC 5322, section 3.6.8, less the semicolon: that ends
// a tag (RFC 6376, section 3.2), so it cannot be written in h=.
func isFieldName(name string) bool {
	return name != "" && len(name) <= maxFieldName &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < 33 || r > 126 || r == ':' || r == ';' })
}
