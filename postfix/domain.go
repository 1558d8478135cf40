package postfix

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// domainForms returns a domain name the ways it can stand in an address: first
// with A-labels (RFC 5890, section 2.3.2.1), then, when it differs, with
// U-labels, as an SMTPUTF8 client gives it. Both in lower case, without a final
// dot.
func domainForms(name string) ([]string, error) {
	ascii := strings.ToLower(strings.TrimSuffix(name, "."))
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))
	if strings.ContainsFunc(ascii, func(r rune) bool { return r >= 0x80 }) {
		converted, err := profile.ToASCII(ascii)
		if err != nil {
			return nil, fmt.Errorf("%q is no domain name: not an internationalized name: %w", name, err)
		}
		ascii = strings.ToLower(converted)
	}
	if err := checkName(ascii); err != nil {
		return nil, fmt.Errorf("%q is no domain name: %w", name, err)
	}
	if !strings.Contains(ascii, "xn--") {
		return []string{ascii}, nil
	}
	unicode, err := profile.ToUnicode(ascii)
	if err != nil || unicode == ascii {
		return []string{ascii}, nil
	}
	return []string{ascii, unicode}, nil
}

// checkName applies the letter-digit-hyphen rule and the lengths of RFC 1035,
// section 2.3.4. Mail needs two labels or more.
func checkName(name string) error {
	if len(name) > 253 {
		return fmt.Errorf("it is longer than 253 characters")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" {
			return fmt.Errorf("it has an empty label")
		}
		if len(label) > 63 {
			return fmt.Errorf("label %q is longer than 63 characters", label)
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("label %q begins or ends with a hyphen", label)
		}
		for _, r := range label {
			if !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-') {
				return fmt.Errorf("character %q is not allowed", r)
			}
		}
	}
	if len(labels) < 2 {
		return fmt.Errorf("it has only one label")
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return fmt.Errorf("it ends in a number")
	}
	return nil
}
