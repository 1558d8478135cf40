package finding

import "testing"

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"type", "type", 0}, {"", "abc", 3}, {"abc", "", 3}, {"tpye", "type", 1}, {"chekc", "check", 1},
		{"ab", "ba", 1}, {"kitten", "sitting", 3}, {"rezolver", "resolver", 1}, {"selectr", "selector", 1},
		{"abcd", "badc", 2}, {"aaaaaaaaaa", "b", 10},
	} {
		if got := Distance(test.a, test.b); got != test.want {
			t.Errorf("%s, %s: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestMeant(t *testing.T) {
	t.Parallel()
	words := []string{"check", "keygen", "keys", "dns", "type", "dns-check"}
	for typed, want := range map[string]string{
		"chekc": "check", "kegyen": "keygen", "key": "keys", "dsn": "dns", "dns-chek": "dns-check",
		"check": "", "": "", "frobnicate": "", "tpye": "type", "ty": "",
	} {
		if got := Meant(typed, words); got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}
