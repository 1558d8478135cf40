package record

import (
	"reflect"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func seeds(f *testing.F, more ...string) {
	for _, text := range append(more,
		"", ";", "=", "v=DKIM1; h=sha256; k=rsa; s=email; t=y:s; n=x; p=AAAA", "v=spf1 mx a:%{d}/24//64 ip4:192.0.2.0/24 -all", "v=DMARC1; p=reject; rua=mailto:a@example.org",
		`"v=DKIM1; k=rsa; " "p=AA\" AA=="`, "s1._domainkey IN TXT ( \"v=DKIM1; \" \"p=\" ) ; x", "v=spf1; ip:192.0.2.1 - all redirect:x.example", "v=DMARC1; pct=0; P=rejct; rua=a@b.example!1m;", "“v=spf1 –all”", "( ", `\"`) {
		f.Add(text)
	}
}

// What is parsed, written and parsed again is the same.
func FuzzParseDKIM(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseDKIM(text)
		if err != nil {
			return
		}
		again, err := ParseDKIM(r.String())
		if len(r.PublicKey) == 0 {
			r.PublicKey, again.PublicKey = nil, nil
		}
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q is %+v, written %q is %+v, %v", text, r, r, again, err)
		}
	})
}

func FuzzParseSPF(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseSPF(text)
		if err != nil {
			return
		}
		again, err := ParseSPF(r.String())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q is %+v, written %q is %+v, %v", text, r, r, again, err)
		}
	})
}

func FuzzParseDMARC(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseDMARC(text)
		if err != nil {
			return
		}
		again, err := ParseDMARC(r.String())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q is %+v, written %q is %+v, %v", text, r, r, again, err)
		}
	})
}

// Lint takes whatever is in the DNS, and what it says to publish has no fault.
// A record that it finds no fault in parses.
func FuzzLint(f *testing.F) {
	seeds(f)
	want := bokyRecord(f)
	lints := []struct {
		lint  func([]TXT) []finding.Finding
		parse func(string) error
	}{
		{func(p []TXT) []finding.Finding { return LintDKIM("s1._domainkey.example.org", p, want) }, func(s string) error { _, err := ParseDKIM(s); return err }},
		{func(p []TXT) []finding.Finding { return LintDKIM("s1._domainkey.example.org", p, DKIM{}) }, func(s string) error { _, err := ParseDKIM(s); return err }},
		{func(p []TXT) []finding.Finding { return LintSPF("example.org", p) }, func(s string) error { _, err := ParseSPF(s); return err }},
		{func(p []TXT) []finding.Finding { return LintDMARC("_dmarc.example.org", p) }, func(s string) error { _, err := ParseDMARC(s); return err }},
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i, l := range lints {
			findings := l.lint([]TXT{{text}})
			fault := false
			for _, f := range findings {
				fault = fault || f.Level == finding.Fault || strings.HasSuffix(f.Code, "-missing")
				if f.Level != finding.Fault || !strings.HasPrefix(f.Advice(), "publish this") {
					continue
				}
				for _, again := range l.lint([]TXT{{lastLine(f.Advice())}}) {
					// A key that is no good stays so, however it is written.
					if again.Level == finding.Fault && i != 1 {
						t.Errorf("%q: %s: the fix %q has %s", text, f.Code, f.Advice(), again.Code)
					}
				}
			}
			if err := l.parse(text); err != nil && !fault {
				t.Errorf("%q: lint %d finds no fault, and parsing says %v", text, i, err)
			}
		}
	})
}

// A tag is in the part of the list that has its number.
func FuzzParseTags(f *testing.F) {
	f.Add("v=1; a = rsa-sha256;\r\n\tb=")
	f.Fuzz(func(t *testing.T, list string) {
		tags, err := ParseTags(list)
		parts := strings.Split(list, ";")
		for i, tag := range tags {
			name, value, _ := strings.Cut(parts[i], "=")
			if err == nil && (strings.Trim(name, whiteSpace) != tag.Name || strings.Trim(value, whiteSpace) != tag.Value) {
				t.Errorf("%q: tag %d is %+v", list, i, tag)
			}
		}
	})
}
