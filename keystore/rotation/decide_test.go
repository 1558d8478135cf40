package rotation

import (
	"strings"
	"testing"
	"time"

	"signpost/keystore"
)

func TestSigning(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	rsaKey := func(selector string, n int) *keystore.Key {
		return &keystore.Key{Selector: selector, Algorithm: keystore.RSA, ModTime: day(n)}
	}
	edKey := func(selector string, n int) *keystore.Key {
		return &keystore.Key{Selector: selector, Algorithm: keystore.Ed25519, ModTime: day(n)}
	}
	for name, test := range map[string]struct {
		keys []*keystore.Key
		want string
	}{
		"none":                     {nil, ""},
		"one":                      {[]*keystore.Key{rsaKey("a", 1)}, "a"},
		"the newest file":          {[]*keystore.Key{rsaKey("a", 3), rsaKey("z", 2), rsaKey("m", 1)}, "a"},
		"same time, natural order": {[]*keystore.Key{rsaKey("s10", 1), rsaKey("s9", 1), rsaKey("s1", 1)}, "s10"},
		"same time, same number":   {[]*keystore.Key{rsaKey("s1", 1), rsaKey("s01", 1)}, "s1"},
		"same second, natural order": {[]*keystore.Key{
			{Selector: "s2", Algorithm: keystore.RSA, ModTime: day(1)},
			{Selector: "s1", Algorithm: keystore.RSA, ModTime: day(1).Add(time.Millisecond)},
		}, "s2"},
		"Ed25519 as a second one":          {[]*keystore.Key{edKey("e", 9), rsaKey("r", 1)}, "r e"},
		"the newest of each":               {[]*keystore.Key{edKey("e1", 1), rsaKey("r1", 1), edKey("e2", 2), rsaKey("r2", 2)}, "r2 e2"},
		"Ed25519 alone, for want of a RSA": {[]*keystore.Key{edKey("e", 1)}, "e"},
	} {
		keystore.ByAge(test.keys)
		var got []string
		for _, key := range newest(test.keys) {
			got = append(got, key.Selector)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q signs, want %q", name, got, test.want)
		}
	}
}
