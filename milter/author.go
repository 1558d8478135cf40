package milter

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// AuthorDomain returns the domain that a message is from, as A-labels, by the values
// of its From fields; or the reason why there is none. Several addresses are all right
// while they share their domain.
//
// It is the domain that every program shows. Programs differ widely in what they make
// of a field that RFC 5322 does not allow, and of some that it does: testdata/from.txt
// has what seven of them read. So the rule is not what one grammar says, but:
//
//	each @ outside of comments and quoted strings     is followed by the same domain
//	a comment or blank about the domain or its dots   does not count (sections 3.4.1, 4.4)
//	within a label                                    ends it, so the field is invalid
//	an address as a display name without quotes       is ambiguous if its domain differs
//	                                                  and has more than one label
//	a quoted display name                             may say anything
//	an @ in quotes or encoded, without an address or  is invalid: some take it for that of
//	in a part of what is before the @                 an address
//	a route (<@relay:a@b>), which some show           is ambiguous if a domain differs
//	text after an address                             is invalid without angle brackets
//	a domain of other characters than ASCII           must mean the same with and without
//	                                                  the mappings of IDNA, else ambiguous
//	an address literal                                is no domain
//	a CR or LF that does not fold a line              is invalid: some begin a field there
func AuthorDomain(from []string) (string, Reason, error) {
	switch len(from) {
	case 0:
		return "", FromMissing, nil
	case 1:
	default:
		return "", FromMultiple, finding.WithHint(fmt.Errorf("%d From fields", len(from)), oneFrom)
	}
	mailboxes, err := parseFrom(from[0], false)
	if err != nil {
		return "", FromInvalid, finding.WithHint(fmt.Errorf("from field: %w", err), plainFrom)
	}
	author := ""
	for _, one := range mailboxes.authors {
		domain, reason, err := authorName(one.domain)
		switch {
		case err != nil:
			return "", reason, err
		case author != "" && author != domain:
			return "", FromMultiple, finding.WithHint(
				fmt.Errorf("from field has addresses in %s and %s", author, domain), oneFrom)
		}
		author = domain
	}
	for _, one := range mailboxes.beside {
		if strays(one.domain, author) {
			return "", FromAmbiguous, finding.WithHint(fmt.Errorf("from field can be read as from %s and from %.100q",
				author, strings.TrimRight(one.domain, "'")), quoteName)
		}
	}
	return author, "", nil
}

// strays reports whether a name that some programs take for the author's domain is none of
// these.
func strays(name string, authors ...string) bool {
	domain, _, err := authorName(strings.TrimRight(name, "'")) // 'jane@example.org' <jane@example.org>
	if err == nil && !strings.Contains(domain, ".") {
		return false // "Jobs @ Example <jobs@example.org>": no other domain
	}
	return err != nil || !slices.Contains(authors, domain)
}

// What to do about a From field.
const (
	oneFrom   = "send with one From field, and with addresses of one domain in it"
	plainFrom = "write From as Name <user@example.org>, with a name of special characters in double quotes"
	quoteName = "put a name that contains an @ in double quotes"
	aLabels   = "write the domain as A-labels (xn--...)"
)

// authorName returns a domain of the From field as A-labels, or the reason why it is
// no author domain.
func authorName(name string) (string, Reason, error) {
	domain, err := keystore.Domain(name)
	if err != nil && (!strings.Contains(name, ".") || strings.Contains(name, "_")) {
		// Hosts are called localhost and web_1.example.org. Neither has a key of its own.
		if host, hostErr := keystore.Selector(name); hostErr == nil {
			domain, err = host, nil
		}
	}
	if err != nil {
		return "", FromInvalid, finding.WithHint(fmt.Errorf("from field: %w", err), plainFrom)
	}
	if !unmapped(name, domain) {
		return "", FromAmbiguous, finding.WithHint(
			fmt.Errorf("from field has the domain %q, which is %s to some programs only", name, domain), aLabels)
	}
	return domain, "", nil
}

// unmapped reports whether a domain is the same to programs that map characters before
// they look a name up (RFC 5895; UTS #46), those that map as IDNA2003 did, and those that
// take it as it stands (RFC 5891, section 4). Soft hyphens, fullwidth letters and ß are
// what they differ in.
func unmapped(name, domain string) bool {
	if !strings.ContainsFunc(name, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return true
	}
	name = strings.TrimSuffix(lowerASCII(name), ".")
	strict, err := idna.Registration.ToASCII(name)
	if err != nil || strict != domain {
		return false
	}
	old, err := idna.New(idna.MapForLookup(), idna.Transitional(true)).ToASCII(name)
	return err == nil && old == domain
}

func lowerASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}
