package keystore

import (
	"cmp"
	"testing"
)

func TestNaturalCompare(t *testing.T) {
	ordered := []string{"", "1", "2", "10", "a", "a1b", "a1b2", "a2", "a10", "a10b", "b", "s20251231", "s20260101"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := naturalCompare(a, b); got != cmp.Compare(i, j) {
				t.Errorf("naturalCompare(%q, %q) = %d", a, b, got)
			}
		}
	}
}
