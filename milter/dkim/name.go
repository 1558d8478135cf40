package dkim

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxName is the longest name in DNS as text, without a final dot (RFC 1035,
// section 2.3.4).
const maxName = 253

// asciiName returns a domain or selector as it goes into d=, s= and the DNS:
// lower-case A-labels (RFC 8616, section 5, allows them in every message).
//
// Labels are letters, digits and hyphens (RFC 6376, section 3.5). Selectors
// with an underscore are in wide use, so underscore says to let it pass.
// Nothing that has a meaning in a tag list or a header gets through.
func asciiName(name string, underscore bool) (string, error) {
	ascii := lower(name)
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		// The profile of lookups (RFC 5891, section 5), but leaving letters,
		// digits, hyphens to the check below: it would not let an underscore
		// pass, nor the hyphens of r3---sn.example.
		profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false))
		var err error
		if ascii, err = profile.ToASCII(name); err != nil || !utf8.ValidString(name) {
			return "", errors.New("it is not a valid internationalized name")
		}
	}
	for label := range strings.SplitSeq(ascii, ".") {
		switch {
		case label == "":
			return "", errors.New("it has an empty label")
		case len(label) > 63:
			return "", errors.New("it has a label over 63 characters")
		case label[0] == '-' || label[len(label)-1] == '-':
			return "", errors.New("it has a label that begins or ends with a hyphen")
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' && underscore) {
				return "", fmt.Errorf("%q is not allowed in it", c)
			}
		}
	}
	return ascii, nil
}

// lower returns s with its ASCII letters in lower case.
func lower(s string) string {
	if !strings.ContainsFunc(s, isUpper) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isUpper(r) {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

// quotedIdentity checks an i= value against the domain of the signature
// (RFC 6376, section 3.5: the same or one below it) and returns it ready to
// write: its domain as A-labels, its local part dkim-quoted-printable.
func quotedIdentity(identity, domain string) (string, error) {
	at := strings.LastIndexByte(identity, '@')
	if at < 0 {
		return "", errors.New("it has no @")
	}
	local := identity[:at]
	if !utf8.ValidString(local) || strings.ContainsFunc(local, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("its local part has control characters or is not UTF-8")
	}
	host, err := asciiName(identity[at+1:], false)
	if err != nil {
		return "", fmt.Errorf("its domain is not valid: %w", err)
	}
	if host != domain && !strings.HasSuffix(host, "."+domain) {
		return "", fmt.Errorf("its domain is neither %s nor below it", domain)
	}
	return string(appendQuoted(nil, local)) + "@" + host, nil
}

// appendQuoted appends s as dkim-quoted-printable (RFC 6376, section 2.11).
// A non-ASCII octet is always encoded, which suits messages with and without
// internationalized header fields (RFC 8616, section 5).
func appendQuoted(dst []byte, s string) []byte {
	safe := func(i int) bool { return s[i] > ' ' && s[i] < 0x7f && s[i] != ';' && s[i] != '=' }
	for i := range len(s) {
		// An octet may always be encoded. A b before an encoded one is, since
		// some verifiers take any "b=" for the signature and empty it.
		if safe(i) && !(s[i] == 'b' && i+1 < len(s) && !safe(i+1)) {
			dst = append(dst, s[i])
		} else {
			dst = fmt.Appendf(dst, "=%02X", s[i])
		}
	}
	return dst
}
