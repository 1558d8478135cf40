package finding

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns text from outside with escapes for what a terminal or a page would obey:
// characters that are not printable, or change the direction of text. What is longer than so
// many characters is cut, with the number of bytes that were left out.
func Visible(text string, most int) string {
	var b strings.Builder
	for n := 0; text != ""; n++ {
		if n == most {
			fmt.Fprintf(&b, "… (%d more bytes)", len(text))
			break
		}
		c, size := utf8.DecodeRuneInString(text)
		if c == utf8.RuneError && size == 1 || !unicode.IsPrint(c) {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}
