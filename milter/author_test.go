package milter

import (
	"strings"
	"testing"
)

func TestAuthorDomains(t *testing.T) {
	for _, test := range []struct{ value, want, wrong string }{
		{" jane@example.org", "example.org", ""},
		{" Jane <jane@example.org>", "example.org", ""},
		{" <jane@example.org>", "example.org", ""},
		{`"Doe, Jane" <jane@example.org>`, "example.org", ""},
		{`Jane "J." Doe <jane@example.org>`, "example.org", ""},
		{" jane@example.org (Jane (at home) \\) )", "example.org", ""},
		{" (c) Jane (c) <(c)jane@example.org(c)> (c)", "example.org", ""},
		{` "jane@evil.test"@example.org`, "example.org", ""},
		{` "a\"@evil.test" <"b>@evil.test"@example.org>`, "example.org", ""},
		{" Jane\r\n <jane@example.org>", "example.org", ""},
		{" Jane\n\t<jane\n @example.org>", "example.org", ""},
		{" =?utf-8?q?J=C3=A4ne?= <jane@example.org>", "example.org", ""},
		{" Jäne <jäne@münchen.example>", "münchen.example", ""},
		{" <@relay.test,@b.test:jane@example.org>", "example.org", ""},
		{" jane@example.org, joe@example.net", "example.org example.net", ""},
		{" Editors: jane@example.org, Joe <joe@example.net>;", "example.org example.net", ""},
		{" Doe, Jane <jane@example.org>", "example.org", ""},      // a comma that should be quoted
		{" jane@evil.test <jane@example.org>", "example.org", ""}, // an address as the name
		{" Jane @ Example <jane@example.org>", "example.org", ""}, // and something like one
		{" ,, jane@example.org,", "example.org", ""},              // obs-mbox-list
		{" jane@[192.0.2.1]", "[192.0.2.1]", ""},                  // no name, but an address
		{"", "", "no address"},
		{" Jane", "", "no address"},
		{" undisclosed:;", "", "no address"},
		{" <>", "", "no @"},
		{" <jane>", "", "no @"},
		{" @example.org", "", "nothing before the @"},
		{" jane@", "", "no domain"},
		{" jane@example.org evil.test", "", "not allowed"},
		{" jane@evil.test@example.org", "", "not allowed"},
		{" <jane@example.org> joe", "", "text after"},
		{` <jane@example.org> "joe"`, "", "text after"},
		{" <jane@example.org> <joe@evil.test>", "", "without a comma"},
		{" <jane@<evil.test>", "", "within an address"},
		{" <jane@example.org", "", "without an end"},
		{" jane@example.org>", "", "too many"},
		{` "jane@example.org`, "", "without an end"},
		{" (jane@example.org", "", "without an end"},
		{" jane@example.org;", "", "outside of a group"},
		{" jane@evil.test: <jane@example.org>;", "", "colon in an address"},
		{" a: b: jane@example.org;", "", "colon"},
		{" jane@example.org\x00.evil.test", "", "control character"},
		{" <jane@example.org\x00>", "", "control character"},
	} {
		got, err := AuthorDomains(test.value)
		switch {
		case test.wrong == "" && (err != nil || strings.Join(got, " ") != test.want):
			t.Errorf("%q: got %q, %v, want %q", test.value, got, err, test.want)
		case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
			t.Errorf("%q: got %q, %v, want an error with %q", test.value, got, err, test.wrong)
		}
	}
}

func FuzzAuthorDomains(f *testing.F) {
	for _, value := range []string{
		" Jane <jane@example.org>", `"a\"b" <"x@y"@z.org>`, "g: a@b.c, d@e.f;", "(a(b)c) a@b.c", "<@r:a@b.c>", "<a@b", ";,:",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		domains, err := AuthorDomains(value)
		if err == nil && len(domains) == 0 {
			t.Fatal("neither a domain nor an error")
		}
		for _, domain := range domains {
			if domain == "" || !strings.Contains(value, domain) && !strings.ContainsAny(value, "()") {
				t.Fatalf("domain %q is not in the field", domain)
			}
			if strings.ContainsAny(domain, "@<>\"\x00\r\n ") {
				t.Fatalf("domain %q", domain)
			}
		}
	})
}
