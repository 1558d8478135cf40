package record

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNewTXT(t *testing.T) {
	for _, value := range []string{"", strings.Repeat("x", 600), "x" + strings.Repeat("ü", 400), strings.Repeat("\U0001F4EE", 200)} {
		cut := NewTXT(value)
		if cut.Text() != value || len(cut) == 0 {
			t.Errorf("%d bytes came back as %q", len(value), cut)
		}
		for i, s := range cut {
			if len(s) > 255 || i < len(cut)-1 && len(s) < 252 || !utf8.ValidString(s) {
				t.Errorf("string %d of %d bytes", i, len(s))
			}
		}
	}
}
