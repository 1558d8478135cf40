package keystore

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"signpost/keystore/record"
)

// Domain returns name as a signing domain is compared and written: A-labels
// (RFC 5890, section 2.3.2.1; RFC 8616, section 4), lower case, no final dot.
// It must have two labels or more, for no record can be published under one.
func Domain(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("invalid domain name of %d characters: 253 is the most", len(name))
	}
	ascii, err := toASCII(name)
	if err != nil {
		return "", fmt.Errorf("invalid domain name %q: %w", name, err)
	}
	if err := checkLabels(ascii, false); err != nil {
		return "", fmt.Errorf("invalid domain name %q: %w", name, err)
	}
	if !strings.Contains(ascii, ".") {
		return "", fmt.Errorf("invalid domain name %q: it has only one label", name)
	}
	// A name whose last label is a number is an address, not a domain.
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("invalid domain name %q: it ends in a number", name)
	}
	return ascii, nil
}

// Selector returns name as a selector (RFC 6376, section 3.1): one or more
// labels, lower case. An underscore is let through, for such selectors exist.
func Selector(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("invalid selector of %d characters: 253 is the most", len(name))
	}
	ascii, err := toASCII(name)
	if err != nil {
		return "", fmt.Errorf("invalid selector %q: %w", name, err)
	}
	if err := checkLabels(ascii, true); err != nil {
		return "", fmt.Errorf("invalid selector %q: %w", name, err)
	}
	return ascii, nil
}

// maxName bounds what is converted and quoted in errors. No name in the DNS has
// more than 253 characters as A-labels, and a U-label is no longer in UTF-8 than
// four times that. Without it a From field of a megabyte would cost minutes.
const maxName = 4 * 253

// toASCII lower-cases, drops one final dot and turns U-labels into A-labels.
func toASCII(name string) (string, error) {
	ascii := true
	for i := 0; i < len(name); i++ {
		if name[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if !ascii {
		if !utf8.ValidString(name) {
			return "", errors.New("it is not UTF-8")
		}
		converted, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("not an internationalized name: %w", err)
		}
		name = converted
	}
	return strings.TrimSuffix(strings.ToLower(name), "."), nil
}

// checkLabels applies the letter-digit-hyphen rule, so that a name is safe in a
// path, a DNS query and a header.
func checkLabels(name string, underscore bool) error {
	return record.EachLabel(name, func(label string) error {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("label %q begins or ends with a hyphen", label)
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			letterDigitHyphen := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
			if !letterDigitHyphen && !(underscore && c == '_') {
				return fmt.Errorf("character %q is not allowed", c)
			}
		}
		return nil
	})
}
