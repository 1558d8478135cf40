package vault

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// text is a string of JSON in bytes, which can be wiped.
type text []byte

// UnmarshalJSON makes no string of it.
func (t *text) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*t = nil
		return nil
	}
	if len(data) < 2 || data[0] != '"' {
		return errors.New("a key that is not a text")
	}
	data = data[1 : len(data)-1] // that it ends in a quote was checked before
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		if data[0] != '\\' {
			out = append(out, data[0])
			data = data[1:]
			continue
		}
		if r, size := escaped(data); size > 0 {
			out = utf8.AppendRune(out, r)
			data = data[size:]
			continue
		}
		return errors.New("a key that is not well formed")
	}
	*t = out
	return nil
}

// MarshalJSON is for what has no other characters than PEM.
func (t text) MarshalJSON() ([]byte, error) { return json.Marshal(string(t)) }

// escaped returns what a backslash stands for, and how long it is; 0 where it is invalid.
func escaped(data []byte) (r rune, size int) {
	unit := func(at int) rune {
		if len(data) < at+6 || data[at] != '\\' || data[at+1] != 'u' {
			return -1
		}
		n, err := strconv.ParseUint(string(data[at+2:at+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	if len(data) < 2 {
		return 0, 0
	}
	switch data[1] {
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case '"', '\\', '/':
		return rune(data[1]), 2
	case 'u':
		first := unit(0)
		if first < 0 {
			return 0, 0
		}
		if pair := utf16.DecodeRune(first, unit(6)); pair != utf8.RuneError {
			return pair, 12
		}
		return first, 6 // half of a pair becomes U+FFFD, as in encoding/json
	}
	return 0, 0
}
