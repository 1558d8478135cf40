package dkim

import (
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// Canonicalization is one of the two algorithms of RFC 6376, section 3.4.
type Canonicalization uint8

const (
	Simple  Canonicalization = iota // as it stands
	Relaxed                         // white space may change on the way
)

// String returns the name used in c=: "simple" or "relaxed".
func (c Canonicalization) String() string {
	switch c {
	case Simple:
		return "simple"
	case Relaxed:
		return "relaxed"
	}
	return fmt.Sprintf("Canonicalization(%d)", uint8(c))
}

// ParseCanonicalization reads a c= value: "relaxed/simple", or "relaxed"
// alone, which leaves the body simple (RFC 6376, section 3.5). Case does not
// matter.
func ParseCanonicalization(s string) (header, body Canonicalization, err error) {
	h, b, both := strings.Cut(strings.ToLower(s), "/")
	if !both {
		b = "simple"
	}
	header, ok := canonicalizationNamed(h)
	if ok {
		body, ok = canonicalizationNamed(b)
	}
	if !ok {
		return Simple, Simple, finding.WithHint(fmt.Errorf("unknown canonicalization %q", s),
			"write header/body, each simple or relaxed, like relaxed/relaxed")
	}
	return header, body, nil
}

func canonicalizationNamed(name string) (Canonicalization, bool) {
	switch name {
	case "simple":
		return Simple, true
	case "relaxed":
		return Relaxed, true
	}
	return Simple, false
}
