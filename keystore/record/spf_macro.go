package record

import (
	"errors"
	"fmt"
	"strings"
)

// isModifierName follows RFC 7208, section 4.6.1.
func isModifierName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !isAlpha(c) && (i == 0 || !isDigit(c) && !strings.ContainsRune("-_.", rune(c))) {
			return false
		}
	}
	return name != ""
}

// checkDomainSpec checks a domain with macros (RFC 7208, section 7.1). It ends
// in a macro, or in a label that is not a number.
func checkDomainSpec(spec string) error {
	if spec == "" {
		return errors.New("the domain is missing")
	}
	if err := checkMacros(spec); err != nil {
		return err
	}
	if at := strings.LastIndex(spec, "%{"); at >= 0 && strings.IndexByte(spec[at:], '}') == len(spec)-at-1 {
		return nil
	}
	if strings.HasSuffix(spec, "%%") || strings.HasSuffix(spec, "%_") || strings.HasSuffix(spec, "%-") {
		return nil
	}
	name := strings.TrimSuffix(spec, ".")
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || !isTopLabel(name[dot+1:]) {
		return fmt.Errorf("%s is not a domain name", quote(spec))
	}
	return nil
}

func isTopLabel(label string) bool {
	if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	number := true
	for _, c := range []byte(label) {
		if !isAlpha(c) && !isDigit(c) && c != '-' {
			return false
		}
		number = number && isDigit(c)
	}
	return !number
}

// checkMacros checks a macro-string (RFC 7208, section 7.1).
func checkMacros(s string) error {
	for s != "" {
		switch c := s[0]; {
		case c <= ' ' || c > '~':
			return fmt.Errorf("the character %q cannot stand here", c)
		case c != '%':
			s = s[1:]
		case len(s) > 1 && strings.IndexByte("%_-", s[1]) >= 0:
			s = s[2:]
		default:
			end := strings.IndexByte(s, '}')
			if end < 0 || !isMacro(s[:end+1]) {
				return fmt.Errorf("the %% in %s begins no macro", quote(s))
			}
			s = s[end+1:]
		}
	}
	return nil
}

// isMacro reports whether s is "%{", a letter, how many labels to keep, "r" for
// reverse order, delimiters, "}". The letters c, r and t are only for the text
// that exp= points to (RFC 7208, section 7.2).
func isMacro(s string) bool {
	body, ok := strings.CutPrefix(s, "%{")
	if !ok || len(body) < 2 || !strings.ContainsRune("slodiphv", rune(body[0]|0x20)) || !isAlpha(body[0]) {
		return false
	}
	body = strings.TrimSuffix(body[1:], "}")
	digits := 0
	for digits < len(body) && isDigit(body[digits]) {
		digits++
	}
	if digits > 0 && strings.Trim(body[:digits], "0") == "" {
		return false // "MUST be nonzero"
	}
	body = body[digits:]
	if body != "" && body[0]|0x20 == 'r' {
		body = body[1:]
	}
	return strings.Trim(body, ".-+,/_=") == ""
}
