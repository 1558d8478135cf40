package record

import (
	"strings"
	"unicode/utf8"
)

// TXT is one TXT record: its character-strings in order.
type TXT []string

// MaxString is how many bytes a character-string holds (RFC 1035, section 3.3).
const MaxString = 255

// NewTXT cuts a text into character-strings. UTF-8 characters are kept whole.
func NewTXT(text string) TXT {
	var cut TXT
	for len(text) > MaxString {
		end := MaxString
		for end > MaxString-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		cut = append(cut, text[:end])
		text = text[end:]
	}
	return append(cut, text)
}

// Text returns the record as its readers take it: the strings joined with
// nothing between (RFC 6376, section 3.6.2.2; RFC 7208, section 3.3).
func (t TXT) Text() string { return strings.Join(t, "") }
