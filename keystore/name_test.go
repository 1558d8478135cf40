package keystore

import (
	"strings"
	"testing"
)

func TestDomain(t *testing.T) {
	for _, test := range []struct{ name, want, wrong string }{
		{"example.org", "example.org", ""},
		{"EXAMPLE.Org.", "example.org", ""},
		{"münchen.example", "xn--mnchen-3ya.example", ""},
		{"xn--mnchen-3ya.example", "xn--mnchen-3ya.example", ""},
		{"r3---sn-4g5e.example.org", "r3---sn-4g5e.example.org", ""},
		{"", "", "it is empty"},
		{"mail", "", "only one label"},
		{"a..b", "", "empty label"},
		{".example.org", "", "empty label"},
		{"-a.example.org", "", "hyphen"},
		{"a_b.example.org", "", `character '_'`},
		{"../../etc/passwd.org", "", "empty label"},
		{"example.org/x.org", "", `character '/'`},
		{"example.org\r\nX: y.z", "", `character '\r'`},
		{"192.0.2.1", "", "ends in a number"},
		{strings.Repeat("a", 64) + ".org", "", "longer than 63"},
		{strings.Repeat("a.", 127) + "org", "", "longer than 253"},
		{strings.Repeat("語", 100000) + ".org", "", "domain name of 300004 characters"},
		{"\xff.example.org", "", "not UTF-8"},
	} {
		got, err := Domain(test.name)
		checkName(t, "Domain", test.name, got, err, test.want, test.wrong)
	}
}

func TestSelector(t *testing.T) {
	for _, test := range []struct{ name, want, wrong string }{
		{"mail", "mail", ""},
		{"S2026.Mail", "s2026.mail", ""},
		{"s1_2048", "s1_2048", ""},
		{"", "", "it is empty"},
		{"a b", "", `character ' '`},
		{"a;d=evil.org", "", `character ';'`},
		{"..", "", "empty label"},
	} {
		got, err := Selector(test.name)
		checkName(t, "Selector", test.name, got, err, test.want, test.wrong)
	}
}

func checkName(t *testing.T, what, name, got string, err error, want, wrong string) {
	t.Helper()
	switch {
	case wrong == "" && (err != nil || got != want):
		t.Errorf("%s(%q) = %q, %v, want %q", what, name, got, err, want)
	case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
		t.Errorf("%s(%q) = %q, %v, want an error with %q", what, name, got, err, wrong)
	}
}

// Whatever passes is safe in a path, a DNS query and a header field.
func FuzzDomain(f *testing.F) {
	for _, name := range []string{"example.org", "münchen.example", "a\x00b.c", "../x.y", "EXAMPLE.ORG.", "xn--a.b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		domain, err := Domain(name)
		if err != nil {
			return
		}
		if strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Contains(domain, "..") ||
			strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || len(domain) > 253 {
			t.Fatalf("Domain(%q) = %q", name, domain)
		}
		if again, err := Domain(domain); err != nil || again != domain {
			t.Fatalf("Domain(%q) = %q, then %q, %v", name, domain, again, err)
		}
	})
}
