package record

import (
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func TestLintSPF(t *testing.T) {
	tests := []struct {
		published []string // each in one string
		codes     string
		fix       string // the last line of the last fix
	}{
		{[]string{"v=spf1 mx -all"}, "", ""},
		{[]string{"hello", "v=spf1 mx -all", "google-site-verification=x"}, "", ""},
		{[]string{"V=SPF1 MX ~ALL"}, "", ""},
		{[]string{"v=spf1 -all"}, "", ""},
		{[]string{"v=spf1 redirect=_spf.example.org"}, "", ""},
		{[]string{"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a:%{i}._spf.%{d2} exists:%{ir}.%{v}._spf.%{d} include:_spf.example.com -all exp=why.%{d}"}, "", ""},

		{nil, "fault spf-missing", "v=spf1 mx -all"},
		{[]string{"hello"}, "fault spf-missing", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx -all", "v=spf1 include:_spf.example.com ~all"}, "fault spf-several", "v=spf1 mx include:_spf.example.com ~all"},
		{[]string{"v=spf1 redirect=_spf.example.com", "v=spf1 mx -all"}, "fault spf-several", "v=spf1 include:_spf.example.com mx -all"},
		{[]string{"v=spf1;mx;-all"}, "fault spf-wrong-version", ""},
		{[]string{"v=spf1; mx -all"}, "fault spf-wrong-version", "v=spf1 mx -all"},
		{[]string{"spf1 mx -all"}, "fault spf-wrong-version", "v=spf1 mx -all"},
		{[]string{"v=spf2.0 mx -all"}, "fault spf-wrong-version", "v=spf1 mx -all"},
		{[]string{"v=spf mx -all"}, "fault spf-wrong-version", "v=spf1 mx -all"},
		{[]string{" v=spf1 mx -all"}, "fault spf-wrong-version", "v=spf1 mx -all"},
		{[]string{"v = spf1 mx -all"}, "fault spf-wrong-version", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx -all", "spf2.0/pra ?all"}, "note spf-sender-id", ""},
		{[]string{"v=spf1 mx -all", "v=spf1; a -all"}, "note spf-unread", "remove it"},
		{[]string{`"v=spf1 mx -all"`}, "fault spf-quoted", "v=spf1 mx -all"},
		{[]string{`v=spf1 mx" "-all`}, "fault spf-split-pasted, warning spf-no-all", "correct the record"},
		{[]string{`v=spf1 mx " " -all`}, "fault spf-split-pasted", "v=spf1 mx -all"},
		{[]string{`example.org. IN TXT "v=spf1 mx -all"`}, "fault spf-zone-line", "v=spf1 mx -all"},
		{[]string{`v=spf1 include:_spf\.example.com -all`}, "fault spf-escaped", "v=spf1 include:_spf.example.com -all"},
		{[]string{"v=spf1 mx –all"}, "fault spf-non-ascii", "v=spf1 mx -all"},
		{[]string{"v=spf1\u00a0mx -all"}, "fault spf-non-ascii", "v=spf1 mx -all"},

		{[]string{"v=spf1 ip:192.0.2.1 -all"}, "fault spf-syntax", "v=spf1 ip4:192.0.2.1 -all"},
		{[]string{"v=spf1 192.0.2.1 -all"}, "fault spf-syntax", "v=spf1 ip4:192.0.2.1 -all"},
		{[]string{"v=spf1 ip4:2001:db8::1 -all"}, "fault spf-syntax", "v=spf1 ip6:2001:db8::1 -all"},
		{[]string{"v=spf1 a:192.0.2.1 -all"}, "fault spf-syntax", "v=spf1 ip4:192.0.2.1 -all"},
		{[]string{"v=spf1 includes:_spf.example.com -all"}, "fault spf-syntax", "v=spf1 include:_spf.example.com -all"},
		{[]string{"v=spf1 redirect:example.com"}, "fault spf-syntax", "v=spf1 redirect=example.com"},
		{[]string{"v=spf1 mx - all"}, "fault spf-syntax", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx, -all;"}, "fault spf-syntax, fault spf-syntax", "v=spf1 mx -all"},
		{[]string{"v=spf1\tmx -all"}, "fault spf-wrong-version", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx\t-all"}, "fault spf-syntax", "v=spf1 mx -all"},
		{[]string{"v=spf1 ip4:192.0.2.0/33 -all"}, "fault spf-syntax", "correct the record"},
		{[]string{"v=spf1 include:%{x}.example.com -all"}, "fault spf-syntax", "correct the record"},
		{[]string{"v=spf1 redirect=a.example.com redirect=b.example.com"}, "fault spf-syntax", ""},
		{[]string{"v=spf1 ip4=192.0.2.1 -all"}, "fault spf-modifier", "v=spf1 ip4:192.0.2.1 -all"},
		{[]string{"v=spf1 include=_spf.example.com -all"}, "fault spf-modifier", "v=spf1 include:_spf.example.com -all"},

		{[]string{"v=spf1 mx +all"}, "fault spf-pass-all", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx all"}, "fault spf-pass-all", "v=spf1 mx -all"},
		{[]string{"v=spf1 ip4:0.0.0.0/0 -all"}, "fault spf-pass-all", "v=spf1 mx -all"},
		{[]string{"v=spf1 +all"}, "fault spf-pass-all", "v=spf1 mx -all"},
		{[]string{"v=spf1 ptr -all"}, "warning spf-ptr", "v=spf1 mx -all"},
		{[]string{"v=spf1 ?all"}, "warning spf-neutral-all", "v=spf1 mx -all"},
		{[]string{"v=spf1 ip4:10.0.0.1 ~all"}, "warning spf-private", "v=spf1 mx ~all"},
		{[]string{"v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all"}, "warning spf-wide, warning spf-wide", ""},
		{[]string{"v=spf1 mx ?all"}, "warning spf-neutral-all", "v=spf1 mx -all"},
		{[]string{"v=spf1 a ?all"}, "warning spf-neutral-all", "v=spf1 a -all"},
		{[]string{"v=spf1 mx"}, "warning spf-no-all", "v=spf1 mx -all"},
		{[]string{"v=spf1"}, "warning spf-no-all", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx -all ip4:192.0.2.1"}, "fault spf-after-all", "v=spf1 mx ip4:192.0.2.1 -all"},
		{[]string{"v=spf1 mx -all redirect=example.com"}, "warning spf-redirect-ignored", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx ptr -all"}, "warning spf-ptr", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx exists:%{p}.example.org -all"}, "warning spf-ptr", ""},
		{[]string{"v=spf1 ip4:192.0.2.17/24 -all"}, "warning spf-host-bits", "v=spf1 ip4:192.0.2.0/24 -all"},
		{[]string{"v=spf1 mx ip4:192.168.1.10 -all"}, "warning spf-private", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx ip6:fd00::1 -all"}, "warning spf-private", "v=spf1 mx -all"},
		{[]string{"v=spf1 mx a MX -all"}, "note spf-duplicate", ""},
		{[]string{"v=spf1 mx foo=bar -all"}, "note spf-unknown-modifier", ""},
		{[]string{"v=spf1 " + numbered("include:n%.example.com ", 10) + "-all"}, "", ""},
		{[]string{"v=spf1 " + numbered("include:n%.example.com ", 11) + "-all"}, "fault spf-lookups", ""},
		{[]string{"v=spf1 " + numbered("ip6:2001:db8:%::/48 ", 30) + "-all"}, "warning spf-long", ""},
	}
	for _, test := range tests {
		var published []TXT
		for _, text := range test.published {
			published = append(published, chunks(text, 255))
		}
		findings := LintSPF("example.org", published)
		if got := codes(findings); got != test.codes {
			t.Errorf("%q: got %q, want %q", test.published, got, test.codes)
			continue
		}
		if test.fix != "" && lastLine(findings[len(findings)-1].Advice()) != test.fix {
			t.Errorf("%q: fix is %q", test.published, findings[len(findings)-1].Advice())
		}
		// What is told to be published is good.
		for _, f := range findings {
			value := lastLine(f.Advice())
			if !strings.HasPrefix(value, "v=spf1") {
				continue
			}
			for _, again := range LintSPF("example.org", []TXT{{value}}) {
				if again.Level == finding.Fault || again.Code == f.Code && f.Code != "spf-wide" && f.Code != "spf-long" {
					t.Errorf("%q: the fix %q has %s", test.published, value, again.Code)
				}
			}
		}
	}
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// numbered repeats a pattern with numbers in the place of "%".
func numbered(pattern string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(pattern, "%", string(rune('a'+i%6))+string(rune('0'+i/6))))
	}
	return b.String()
}
