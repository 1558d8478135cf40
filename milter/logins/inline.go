package logins

import (
	"errors"
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// splitWords splits a text at commas and white space outside of braces.
func splitWords(text string) (words []string, err error) {
	depth, begin := 0, -1
	for i, c := range text {
		switch {
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth < 0 {
				return nil, errors.New("a closing brace has no opening one")
			}
		case depth == 0 && (c == ',' || isBlank(c)):
			if begin >= 0 {
				words = append(words, text[begin:i])
			}
			begin = -1
			continue
		}
		if begin < 0 {
			begin = i
		}
	}
	if depth > 0 {
		return nil, errors.New("an opening brace has no closing one")
	}
	if begin >= 0 {
		words = append(words, text[begin:])
	}
	return words, nil
}

// unbraced returns what is within braces, without the white space at its ends.
func unbraced(text string) (string, bool) {
	inner, open := strings.CutPrefix(text, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	return strings.TrimFunc(inner, isBlank), open && closed
}

// parseInline reads {key=value, {key=value with commas and white space}, ...}.
func parseInline(text string) (*table, error) {
	form := func(err error) error {
		return finding.WithHint(fmt.Errorf("inline: %w", err), "write inline:{ {ADDRESS=LOGIN,LOGIN} @DOMAIN=LOGIN }")
	}
	inner, ok := unbraced(text)
	if !ok {
		return nil, form(errors.New("it has no braces about it"))
	}
	words, err := splitWords(inner)
	if err != nil {
		return nil, form(err)
	}
	t := &table{entries: make(map[string]string)}
	for _, word := range words {
		if word[0] == '{' {
			if word, ok = unbraced(word); !ok {
				return nil, form(errors.New("an entry has text after its closing brace"))
			}
		}
		key, value, found := cutKey(word)
		if !found {
			return nil, form(fmt.Errorf("%q is no ADDRESS=LOGIN", word))
		}
		if err := t.add(key, value); err != nil {
			return nil, form(err)
		}
	}
	if len(words) == 0 {
		return nil, form(errors.New("it is empty"))
	}
	return t, nil
}

// cutKey cuts at the first = outside of double quotes.
func cutKey(word string) (key, value string, found bool) {
	quoted := false
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '=' && !quoted:
			key = strings.TrimFunc(word[:i], isBlank)
			return key, strings.TrimFunc(word[i+1:], isBlank), key != "" && keyEnd(key) == len(key)
		}
	}
	return "", "", false
}

// parseStatic reads the result for every key.
func parseStatic(text string) (*table, error) {
	if inner, ok := unbraced(text); ok {
		text = inner
	}
	if len(listed(text)) == 0 {
		return nil, finding.WithHint(errors.New("static: it names no login"), "write static:LOGIN")
	}
	return &table{always: text}, nil
}
