package logins

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"signpost/keystore/finding"
)

// compilePOSIX compiles an extended regular expression (regex(7)). What Go cannot do, and
// what it would do in another way, is an error: references back, ends of words, collating
// symbols. Parentheses that match in several ways may take other parts of the same match.
func compilePOSIX(pattern, flags string) (*regexp.Regexp, error) {
	options := syntax.FoldCase | syntax.OneLine | syntax.DotNL
	for _, c := range flags {
		switch c {
		case 'i':
			options ^= syntax.FoldCase
		case 'm': // no address has a second line
		case 'x':
			return nil, errors.New("basic regular expressions cannot be read")
		default:
			return nil, fmt.Errorf("unknown flag %q", c)
		}
	}
	text, err := translated(pattern)
	if err != nil {
		return nil, err
	}
	parsed, err := syntax.Parse(text, options)
	if err != nil {
		return nil, err
	}
	compiled, err := regexp.Compile(parsed.String())
	if err != nil {
		return nil, err
	}
	compiled.Longest()
	return compiled, nil
}

// translated is an extended regular expression in Go's syntax.
func translated(pattern string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(pattern); {
		n := 1
		switch c := pattern[i]; c {
		case '\\':
			if i+1 == len(pattern) {
				return "", errors.New("it ends in a backslash")
			}
			text, err := escaped(pattern[i+1])
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			n = 2
		case '[':
			n = bracketEnd(pattern[i:])
			if n < 0 {
				return "", errors.New("a bracket has no second, or a collating symbol in it")
			}
			// A backslash in brackets is one.
			b.WriteString(strings.ReplaceAll(pattern[i:i+n], `\`, `\\`))
		case '{':
			n = strings.IndexByte(pattern[i:], '}') + 1
			low, high, _ := strings.Cut(strings.Trim(pattern[i:i+n], "{}"), ",")
			if n == 0 || low == "" && high == "" || strings.Trim(low+high, "0123456789") != "" {
				return "", errors.New(`it has a { that is no repetition; write \{`)
			}
			b.WriteString(strings.Replace(pattern[i:i+n], "{,", "{0,", 1))
		default:
			b.WriteByte(c)
		}
		i += n
	}
	return b.String(), nil
}

// escaped is a backslash and a character, outside of brackets.
func escaped(c byte) (string, error) {
	switch {
	case c == 'w':
		return "[[:alnum:]_]", nil
	case c == 'W':
		return "[^[:alnum:]_]", nil
	case c == 's':
		return "[[:space:]]", nil
	case c == 'S':
		return "[^[:space:]]", nil
	case '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'z', strings.IndexByte("<>`'", c) >= 0:
		return "", fmt.Errorf(`\%c cannot be read`, c)
	case c >= 0x80:
		return string([]byte{c}), nil // with the rest of its octets
	}
	return regexp.QuoteMeta(string(c)), nil
}

// bracketEnd returns the length of the bracket expression that a text begins with.
func bracketEnd(text string) int {
	i := 1
	if strings.HasPrefix(text[i:], "^") {
		i++
	}
	for first := true; i < len(text); first = false {
		switch {
		case text[i] == ']' && !first:
			return i + 1
		case strings.HasPrefix(text[i:], "[."), strings.HasPrefix(text[i:], "[="):
			return -1
		case strings.HasPrefix(text[i:], "[:"):
			n := strings.Index(text[i:], ":]")
			if n < 0 {
				return -1
			}
			i += n + 2
		default:
			i++
		}
	}
	return -1
}

// compilePCRE compiles what Perl and Go have in common, which is nearly all of pcre_table(5).
// The rest is an error.
func compilePCRE(pattern, flags string) (*regexp.Regexp, error) {
	set := map[rune]bool{'i': true, 's': true}
	for _, c := range flags {
		switch c {
		case 'i', 'm', 's', 'U', 'A':
			set[c] = !set[c]
		case 'E', 'X': // of no effect on an address
		default:
			return nil, fmt.Errorf("the flag %q cannot be read", c)
		}
	}
	prefix := "(?"
	for _, c := range "imsU" {
		if set[c] {
			prefix += string(c)
		}
	}
	if prefix += ")"; prefix == "(?)" {
		prefix = ""
	}
	if set['A'] {
		prefix, pattern = prefix+`\A(?:`, pattern+")"
	}
	compiled, err := regexp.Compile(prefix + pattern)
	if err != nil {
		var why *syntax.Error
		if errors.As(err, &why) {
			err = fmt.Errorf("%s: `%s`", why.Code, why.Expr)
		}
		return nil, finding.WithHint(err, "what RE2 has not cannot be read, such as references back and (?= … )")
	}
	return compiled, nil
}
