package milter

import (
	"strings"
	"testing"
	"time"

	"signpost/keystore/finding"
)

// What is wrong with a From field is said in words, with advice. What is read in many
// of them is in testdata/from.txt.
func TestAuthorDomainSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"":                              "it has no address",
		" undisclosed:;":                "it has no address",
		" <>":                           "an address has no @",
		" <jane>":                       "an address has no @",
		" @example.org":                 "an address has nothing before the @",
		" <@relay.test>":                "an address has nothing before the @",
		" jane@":                        "an address has no domain",
		" jane@example.org evil.test":   "it has text after the address",
		" jane@evil.test@example.org":   "an address has nothing before the @",
		" <jane@example.org> joe@b.c":   "it has text after the address",
		` <jane@example.org> "joe@b.c"`: "it has an @ in quotes or encoded, and no address with it",
		` joe@b.c "x@y" <jane@b.c>`:     "it has text after the address",
		" <jane@example.org> <joe@b.c>": "it has two addresses in angle brackets without a comma between",
		" <jane@<evil.test>":            "an address has no domain",
		" <jane@exam(x)ple.org>":        "the domain of an address has a character that is not allowed",
		" <jane@example.org":            "it has an angle bracket without an end",
		" jane@example.org>":            "it has a closing angle bracket too many",
		" jane@example.org)":            "it has a closing parenthesis too many",
		` "jane@example.org`:            "it has a quoted string without an end",
		" (jane@example.org":            "it has a comment without an end",
		" jane@b.c: <jane@b.c>;":        "it has a colon in an address",
		" a: b: jane@example.org;":      "it has a colon in an address",
		" [a@b.c,] <jane@example.org>":  "it has square brackets with more than a word in them, or one without the other",
		` Jane \" <jane@example.org>`:   "it has a backslash outside of quotes",
		" =?utf-8?q?a=40b.c?= jane@d.e": "an address has an encoded word",
		" <=?utf-8?q?a=40b?=@d.e>":      "an address has an encoded word",
		` "joe@b.c", jane@d.e`:          "it has an @ in quotes or encoded, and no address with it",
		` "joe@b.c"jane@d.e`:            "an address has a second @ in quotes",
		" jane@[192.0.2.1]":             "it has an address literal in place of a domain",
		" jane@b.c\x00.evil.test":       "it has a control character",
		" jane@b.c\rFrom: joe@d.e":      "it has a CR or LF by itself",
		" jane@b.c\nFrom: joe@d.e":      "it has a CR or LF by itself",
		" jane@b.c\n":                   "it has a CR or LF by itself",
		" jane@exa!mple.org":            `invalid domain name "exa!mple.org": character '!' is not allowed`,
		" a@b.test <jane@example.org>":  `can be read as from example.org and from "b.test"`,
		" <@b.test:jane@example.org>":   `can be read as from example.org and from "b.test"`,
		" a@example.org, b@b.test":      "has addresses in example.org and b.test",
		" a@stra\u00dfe.example":        `has the domain "straße.example", which is xn--strae-oqa.example to some programs only`,
	} {
		domain, reason, err := AuthorDomain([]string{value})
		if err == nil || domain != "" || reason == "" {
			t.Errorf("%q: got %q, %q, %v", value, domain, reason, err)
			continue
		}
		what, hint := finding.Split(err)
		if !strings.HasPrefix(what, "from field") || !strings.HasSuffix(what, want) || hint == "" {
			t.Errorf("%q: got %q, hint %q, want %q", value, what, hint, want)
		}
	}
}

// However large a From field is, little time is spent on it.
func TestHugeFromFields(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	decide := decider(t, tableKeys(t))
	for name, test := range map[string]struct{ unit, end, want string }{
		"one address":      {"a", "@example.com", "signed for example.com"},
		"many addresses":   {"a@example.com,", "a@example.com", "from-invalid, refused"},
		"many domains":     {"a@example.net,b@x.y,", "", "from-invalid, refused"},
		"many at signs":    {"@", "", "from-invalid, refused"},
		"many comments":    {"(a)", "a@example.com", "signed for example.com"},
		"nested comments":  {"(", "a@example.com", "from-invalid, refused"},
		"many quotes":      {`"a"`, "", "from-invalid, refused"},
		"many backslashes": {`\`, "", "from-invalid, refused"},
		"a long domain":    {"a.", "com", "from-invalid, refused"},
		"many U-labels":    {"a@\u00e9.c,", "<", "from-invalid, refused"},
		"encoded words":    {"=?utf-8?q?a?= ", "", "from-invalid, refused"},
		"many words begin": {"?q?]=?", "", "from-invalid, refused"},
	} {
		value := strings.Repeat(test.unit, size/len(test.unit))
		if name == "a long domain" {
			value = "a@" + value
		}
		if got := shown(decide("From: " + value + test.end + "\r\n")); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		small := strings.Repeat(test.unit, maxFromBytes/len(test.unit)-10)
		decide("From: <" + small + test.end + "\r\n")
	}
}

// The addresses of a From field may be many, and not so many that they take the memory of all
// other messages.
func TestManyAddresses(t *testing.T) {
	t.Parallel()
	for unit, want := range map[string]Reason{"a@b,": "", "a@b ": FromInvalid} {
		value := strings.Repeat(unit, maxFromNames-1) + "a@b"
		if _, reason, err := AuthorDomain([]string{value}); reason != want {
			t.Errorf("%d times %q: %s, %v", maxFromNames, unit, reason, err)
		}
		for _, locals := range []bool{false, true} {
			boxes, err := parseFrom(value+","+value, locals)
			if err == nil || len(boxes.authors)+len(boxes.beside) > 0 {
				t.Errorf("twice as often %q: %d addresses, %v", unit, len(boxes.authors)+len(boxes.beside), err)
			}
		}
	}
	_, err := parseFrom("<"+strings.Repeat("@b,", 2*maxFromNames)+":a@b>", false)
	if err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("a route through many: %v", err)
	}
	// Each that begins is looked through to the end of the field.
	for _, more := range []int{0, 1} {
		words := strings.Repeat("=?utf-8?q?x?= ", maxFromMarks/4+more)
		if _, whole := namedDomains([]string{words}); whole != (more == 0) {
			t.Errorf("%d more encoded words than are looked through: whole %t", more, whole)
		}
	}
}

// A field of very many lines that begin as From does is looked through once.
func TestHidesFrom(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		" x\rFrom: a@b": true, " x\nfrom \t: a@b": true, " x\r\nFROM:": true, "\rfrom\rFrom:": true,
		" From: a@b": false, " x\r\n From: a@b": false, "\rFrom": false, "\rFrom a: b": false, "\rFroms: b": false,
		"\rf": false, " x\r\nFrom": false, "\rFro:": false, "": false,
	} {
		if got := hidesFrom([]byte(value)); got != want {
			t.Errorf("%q: %t", value, got)
		}
	}
	done := make(chan bool, 1)
	go func() { done <- hidesFrom([]byte(strings.Repeat("\rf", 4<<20) + "\rFrom:")) }()
	select {
	case found := <-done:
		if !found {
			t.Error("not found at the end of many lines")
		}
	case <-time.After(time.Minute):
		t.Error("it takes minutes")
	}
}
