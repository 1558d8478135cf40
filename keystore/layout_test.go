package keystore

import (
	"path/filepath"
	"slices"
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
		{"example.org/s1.key", "example.org", "s1", ""},
		{"example.org/a.b.key", "example.org", "a.b", ""},
		{"example.org/tls.private", "example.org", "tls", ""}, // whoever means it
		{"rsa-2048-mail-example.org.private.txt", "example.org", "mail", ""},
		{"rsa-4096-s.2026-mail.example.org.private.txt", "mail.example.org", "s.2026", ""},
		{"ed25519-ed-example.org.private.txt", "example.org", "ed", ""},
		{"rsa-2048-foo-my-shop.example.private.txt", "my-shop.example", "foo", ""}, // as Selectors says
		{"rsa-2048-a-bar-example.net.private.txt", "", "", ""},                     // bar of a-example.net, which nobody says
		{"rsa-2048-bar-example.net.private.txt", "example.net", "bar", ""},
		{"münchen.example.private", "xn--mnchen-3ya.example", "foo", ""},
		// Not keys by their name.
		{"example.org.txt", "", "", ""},
		{"README", "", "", ""},
		{"..data", "", "", ""},
		{".example.org.private.123", "", "", ""},
		{"..2026_11_22/example.org.private", "", "", ""},
		{"example.org/mail.txt", "", "", ""},
		{"example.org/example.org.mail.key", "", "", ""}, // mail, or example.org.mail?
		{"example.org/Example.org.key", "", "", ""},      // of a TLS certificate, as likely
		{"example.org/www.example.org.key", "", "", ""},
		{"example.org/tls.key", "", "", ""},
		{"example.org/PrivKey.key", "", "", ""},
		{"lost+found/s1.key", "", "", ""},
		{"example.org/bad name.key", "", "", ""},
		{"example.org.dkim", "", "", ""}, // mail.example.org.dkim: a domain, or its selector?
		{"mail.example.org.dkim", "", "", ""},
		{"rsa-2048-mail-example.org.public.txt", "", "", ""},
		{"rsa-2048-mail-example.org.public.dns.txt", "", "", ""},
		{"rsa-2048-a-b-example.org.private.txt", "", "", ""}, // a, or a-b?
		{"rsa-mail-example.org.private.txt", "", "", ""},
		{"rsa-2048-mail-localhost.private.txt", "", "", ""},
		{"dsa-mail-example.org.private.txt", "", "", ""},
		{"example.org/rsa-2048-mail-example.org.private.txt", "", "", ""},
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
	for _, file := range []string{"example.org.private", "a.b/c.private", "a.b.c.key", "../x.private", "a/../b.private",
		"a.b/c.key", "a.b/a.b.c.key", "rsa-2048-c-a.b.private.txt", "ed25519-c-d-a.b.private.txt", "rsa-2048-c-a.b.public.txt"} {
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
		for _, name := range MailserverNames(file) {
			again := "rsa-2048-" + name.Selector + "-" + name.Domain + mailserverEnding
			if !slices.Contains(MailserverNames(again), name) {
				t.Fatalf("%q may mean %v, and %q may not", file, name, again)
			}
		}
	})
}

// Two layouts name the same key: as between the first three, neither of two different
// keys signs. One in a layout that came later does not put another out of force.
func TestLaterLayouts(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	one, two := ed25519PEM(t), ed25519PEM(t)
	d.write("same.example/s1.private", one)
	d.write("same.example/s1.key", one)
	d.write("rsa-2048-s1-same.example.private.txt", one)
	d.write("folder.example/s1.private", one)
	d.write("folder.example/s1.key", two)
	d.write("flat.example.s1.key", one)
	d.write("rsa-2048-s1-flat.example.private.txt", two)
	d.write("first.example/s1.private", one)
	d.write("first.example.s1.key", two)
	d.write("both.example/s1.key", one)
	d.write("ed25519-s1-both.example.private.txt", two)
	snapshot := d.load(nil)
	for domain, file := range map[string]string{
		"same.example": "", "folder.example": "folder.example/s1.private",
		"flat.example": "flat.example.s1.key", "first.example": "", "both.example": "",
	} {
		keys, problems := snapshot.Keys(domain), snapshot.Domain(domain).Problems()
		switch {
		case domain == "same.example":
			if len(keys) != 1 || len(problems) > 0 {
				t.Errorf("%s: keys %v, problems %v; want one key", domain, keys, problems)
			}
		case file == "" && (len(keys) > 0 || len(problems) != 1):
			t.Errorf("%s: keys %v, problems %v; want neither of two", domain, keys, problems)
		case file != "" && (len(keys) != 1 || keys[0].File != filepath.Join(d.path, file) || len(problems) != 1):
			t.Errorf("%s: keys %v, problems %v; want that of %s", domain, keys, problems, file)
		}
	}
}
