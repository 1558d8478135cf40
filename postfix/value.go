package postfix

import (
	"slices"
	"strings"
)

// words splits a line at white space outside of braces.
func words(text string) []string { return splitOutside(text, " \t\r\n\v\f") }

// List splits a value at commas and white space outside of braces, as Postfix
// does with lists.
func List(value string) []string { return splitOutside(value, ", \t\r\n\v\f") }

// HasWord reports whether a list has the word, in whatever case.
func HasWord(list, word string) bool {
	return slices.ContainsFunc(List(list), func(w string) bool { return strings.EqualFold(w, word) })
}

// IsYes reads a boolean as Postfix does.
func IsYes(value string) bool { return strings.EqualFold(value, "yes") }

func splitOutside(text, separators string) []string {
	var out []string
	level, start := 0, -1
	for i := 0; i < len(text); i++ {
		switch {
		case level == 0 && strings.IndexByte(separators, text[i]) >= 0:
			if start >= 0 {
				out = append(out, text[start:i])
			}
			start = -1
			continue
		case text[i] == '{':
			level++
		case text[i] == '}' && level > 0:
			level--
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		out = append(out, text[start:])
	}
	return out
}

// braced takes what stands in braces off the start of a text.
func braced(text string) (inside, rest string, ok bool) {
	if !strings.HasPrefix(text, "{") {
		return "", "", false
	}
	inside, rest, err := cutBalanced(text, '{', '}')
	return inside, rest, err == nil
}
