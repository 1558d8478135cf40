package dkim

import (
	"strings"
	"testing"
)

func TestASCIIName(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	for _, c := range []struct {
		name, want string // want "": refused
	}{
		{"example.org", "example.org"},
		{"EXAMPLE.Org", "example.org"},
		{"localhost", "localhost"},
		{"r3---sn-x.example", "r3---sn-x.example"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"B\u00dcCHER.example", "xn--bcher-kva.example"},
		{"stra\u00dfe.example", "xn--strae-oqa.example"},
		{"\u4f8b\u3048\u3002\u30c6\u30b9\u30c8", "xn--r8jz45g.xn--zckzah"},
		{"1.2", "1.2"},
		{label + ".example", label + ".example"},
		{label + "a.example", ""},
		{"", ""},
		{".", ""},
		{"example.org.", ""},
		{".example.org", ""},
		{"a..b", ""},
		{"-a.example", ""},
		{"a-.example", ""},
		{"a b", ""},
		{"a;b=c", ""},
		{"a\r\nX: y", ""},
		{"a\x00", ""},
		{"a:b", ""},
		{"\u00fc; d=evil.example", ""},
		{"\u00fc\r\n", ""},
		{"\u00fc..b", ""},
		{strings.Repeat("\u00fc", 60) + ".example", ""},
		{"\xff", ""},
		{"\u200b", ""},
	} {
		got, err := asciiName(c.name, false)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, error %v, want %q", c.name, got, err, c.want)
		}
	}
	for _, underscore := range []bool{false, true} {
		for _, name := range []string{"_a", "a_b.c", "a_", "gr\u00fcn_1"} {
			if _, err := asciiName(name, underscore); (err == nil) != underscore {
				t.Errorf("%q, underscore %t: %v", name, underscore, err)
			}
		}
	}
}

func TestQuotedIdentity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ identity, want string }{
		{"joe@example.org", "joe@example.org"},
		{"@example.org", "@example.org"},
		{"@a.b.Example.org", "@a.b.example.org"},
		{"Joe.O'Neil+x|y@example.org", "Joe.O'Neil+x|y@example.org"},
		{`"a@b c"@example.org`, `"a@=62=20c"@example.org`},
		{"a=b;c@example.org", "a=3D=62=3Bc@example.org"},
		{"b@example.org", "b@example.org"},
		{"b\u00fcb@example.org", "=62=C3=BCb@example.org"},
		{"joe@\u00fc.example.org", "joe@xn--tda.example.org"},
		{"joe@example.com", ""},
		{"joe@badexample.org", ""},
		{"joe@example.org.", ""},
		{"joe", ""},
		{"joe@", ""},
		{"j\noe@example.org", ""},
		{"j\x7foe@example.org", ""},
		{"j\xffoe@example.org", ""},
		{"joe@example.org;d=x", ""},
	} {
		got, err := quotedIdentity(c.identity, "example.org")
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, error %v, want %q", c.identity, got, err, c.want)
		}
	}
}

// Nothing but letters, digits, hyphens, dots and underscores may come out.
func FuzzASCIIName(f *testing.F) {
	for _, s := range []string{"example.org", "B\u00fccher.example", "a;b", "xn--a", "\u3002", "a\u00ad.b", "\u00fc_x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := asciiName(name, true)
		if err != nil {
			return
		}
		if strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" || strings.Contains(got, "..") || got == "" {
			t.Errorf("%q came out as %q", name, got)
		}
		if again, err := asciiName(got, true); again != got || err != nil {
			t.Errorf("%q came out as %q, then as %q, error %v", name, got, again, err)
		}
	})
}
