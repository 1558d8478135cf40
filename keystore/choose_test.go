package keystore

import (
	"cmp"
	"strings"
	"testing"
	"time"
)

func TestSigning(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	rsaKey := func(selector string, n int) *Key { return &Key{Selector: selector, Algorithm: RSA, ModTime: day(n)} }
	edKey := func(selector string, n int) *Key {
		return &Key{Selector: selector, Algorithm: Ed25519, ModTime: day(n)}
	}
	for name, test := range map[string]struct {
		keys []*Key
		want string
	}{
		"none":                     {nil, ""},
		"one":                      {[]*Key{rsaKey("a", 1)}, "a"},
		"the newest file":          {[]*Key{rsaKey("a", 3), rsaKey("z", 2), rsaKey("m", 1)}, "a"},
		"same time, natural order": {[]*Key{rsaKey("s10", 1), rsaKey("s9", 1), rsaKey("s1", 1)}, "s10"},
		"same time, same number":   {[]*Key{rsaKey("s1", 1), rsaKey("s01", 1)}, "s1"},
		"same second, natural order": {[]*Key{
			{Selector: "s2", Algorithm: RSA, ModTime: day(1)},
			{Selector: "s1", Algorithm: RSA, ModTime: day(1).Add(time.Millisecond)},
		}, "s2"},
		"Ed25519 as a second one":          {[]*Key{edKey("e", 9), rsaKey("r", 1)}, "r e"},
		"the newest of each":               {[]*Key{edKey("e1", 1), rsaKey("r1", 1), edKey("e2", 2), rsaKey("r2", 2)}, "r2 e2"},
		"Ed25519 alone, for want of a RSA": {[]*Key{edKey("e", 1)}, "e"},
	} {
		order(test.keys)
		var got []string
		for _, key := range newest(test.keys) {
			got = append(got, key.Selector)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q signs, want %q", name, got, test.want)
		}
	}
}

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
