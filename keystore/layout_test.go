package keystore

import (
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func TestClaimOf(t *testing.T) {
	selectors, err := ParseSelectors("foo,example.net=bar")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, domain, selector, wrong string }{
		{"example.org.private", "example.org", "foo", ""},
		{"example.net.private", "example.net", "bar", ""},
		{"Example.ORG.private", "example.org", "foo", ""},
		{"example.org/s2026.private", "example.org", "s2026", ""},
		{"example.org/a.b.private", "example.org", "a.b", ""},
		{"example.org.dkim.key", "example.org", "dkim", ""},
		{"mail.example.org.s1.key", "mail.example.org", "s1", ""},
		{"münchen.example.private", "xn--mnchen-3ya.example", "foo", ""},
		// Not keys by their name.
		{"example.org.txt", "", "", ""},
		{"README", "", "", ""},
		{"..data", "", "", ""},
		{".example.org.private.123", "", "", ""},
		{"..2026_11_22/example.org.private", "", "", ""},
		{"example.org/mail.txt", "", "", ""},
		{"example.org/example.org.mail.key", "", "", ""},
		// Keys by their name, but of nobody.
		{"mail.private", "", "", "only one label"},
		{"server.key", "", "", "no selector"},
		{"example.org/bad name.private", "", "", "invalid selector"},
		{"example.org\n.private", "", "", "invalid domain name"},
		{"old/mail.private", "", "", "only one label"},
	} {
		c, ok, err := claimOf(test.file, selectors)
		switch {
		case test.wrong != "":
			if err == nil || !strings.Contains(finding.Text(err), test.wrong) || !strings.Contains(finding.Text(err), "hint: ") {
				t.Errorf("%q: got %v, %v, want an error with %q and a hint", test.file, c, err, test.wrong)
			}
		case err != nil || ok != (test.domain != "") || c.domain != test.domain || c.selector != test.selector:
			t.Errorf("%q: got %v, %v, %v, want %s %s", test.file, c, ok, err, test.domain, test.selector)
		}
	}
}

func FuzzClaimOf(f *testing.F) {
	for _, file := range []string{"example.org.private", "a.b/c.private", "a.b.c.key", "../x.private", "a/../b.private"} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file string) {
		c, ok, err := claimOf(file, Selectors{})
		if err != nil || !ok {
			return
		}
		if domain, err := Domain(c.domain); err != nil || domain != c.domain {
			t.Fatalf("%q claims the domain %q", file, c.domain)
		}
		if selector, err := Selector(c.selector); err != nil || selector != c.selector {
			t.Fatalf("%q claims the selector %q", file, c.selector)
		}
	})
}
