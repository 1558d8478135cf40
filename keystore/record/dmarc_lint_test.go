package record

import (
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func TestLintDMARC(t *testing.T) {
	const rua = "; rua=mailto:a@example.org"
	tests := []struct {
		published []string
		codes     string
		fix       string // the last line of the last fix
	}{
		{[]string{"v=DMARC1; p=reject; rua=mailto:a@example.org; adkim=s; aspf=s"}, "", ""},
		{[]string{"v=DMARC1;p=reject;rua=mailto:a@example.org,mailto:b@example.com;"}, "", ""},
		{[]string{"v = DMARC1 ; p = Quarantine ; sp=reject; np=reject; ruf=mailto:a@example.org; fo=d:s" + rua}, "", ""},
		{[]string{"v=DMARC1; p=reject" + rua, "hello"}, "", ""},

		{nil, "warning dmarc-missing", "v=DMARC1; p=none; rua=mailto:postmaster@example.org"},
		{[]string{"hello"}, "warning dmarc-missing", ""},
		{[]string{"v=spf1 mx -all"}, "fault dmarc-other-record", "v=DMARC1; p=none; rua=mailto:postmaster@example.org"},
		{[]string{"v=DMARC1; p=none" + rua, "v=DMARC1; p=reject"}, "fault dmarc-several", "v=DMARC1; p=none; rua=mailto:a@example.org"},
		{[]string{"p=reject; v=DMARC1" + rua}, "fault dmarc-version-not-first", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=dmarc1; p=reject" + rua}, "fault dmarc-wrong-version", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC; p=reject" + rua}, "fault dmarc-wrong-version", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"DMARC1; p=reject" + rua}, "fault dmarc-wrong-version", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1, p=reject"}, "fault dmarc-wrong-version", ""},
		{[]string{"v=DMARC1; p=reject" + rua, "v=DMARC; p=none"}, "note dmarc-unread", "remove it"},
		{[]string{`"v=DMARC1; p=reject` + rua + `"`}, "fault dmarc-quoted", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{`v=DMARC1\; p=reject\` + rua}, "fault dmarc-escaped", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{`_dmarc IN TXT "v=DMARC1; p=reject` + rua + `"`}, "fault dmarc-zone-line", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"\u200bv=DMARC1; p=reject" + rua}, "fault dmarc-non-ascii", "v=DMARC1; p=reject; rua=mailto:a@example.org"},

		{[]string{"v=DMARC1" + rua}, "fault dmarc-no-policy", "v=DMARC1; p=none; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1"}, "fault dmarc-no-policy, note dmarc-no-reports", ""},
		{[]string{"v=DMARC1; p=quarentine" + rua}, "fault dmarc-wrong-policy", "v=DMARC1; p=quarantine; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=rejected" + rua}, "fault dmarc-wrong-policy", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; sp=all" + rua}, "fault dmarc-wrong-policy", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; np=" + rua}, "fault dmarc-wrong-policy", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1" + rua + "; p=reject"}, "note dmarc-policy-not-second", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=none" + rua}, "note dmarc-monitoring", ""},
		{[]string{"v=DMARC1; p=none"}, "warning dmarc-no-reports", "v=DMARC1; p=none; rua=mailto:postmaster@example.org"},
		{[]string{"v=DMARC1; p=reject"}, "note dmarc-no-reports", "v=DMARC1; p=reject; rua=mailto:postmaster@example.org"},
		{[]string{"v=DMARC1; p=reject; t=y" + rua}, "note dmarc-testing", ""},
		{[]string{"v=DMARC1; p=reject; sp=none" + rua}, "warning dmarc-weak-subdomains", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=none; sp=reject; np=none" + rua}, "note dmarc-monitoring, warning dmarc-weak-nonexistent", "v=DMARC1; p=none; sp=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; psd=y" + rua}, "warning dmarc-psd", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; psd=n" + rua}, "note dmarc-psd", ""},
		{[]string{"v=DMARC1; p=reject; fo=1" + rua}, "note dmarc-unused", ""},

		{[]string{"v=DMARC1; p=reject; rua=a@example.org"}, "warning dmarc-no-mailto", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; rua=https://example.org/dmarc"}, "warning dmarc-no-mailto", "v=DMARC1; p=reject"},
		{[]string{"v=DMARC1; p=reject; rua=mailto:a"}, "warning dmarc-bad-uri", "v=DMARC1; p=reject"},
		{[]string{"v=DMARC1; p=reject; rua="}, "warning dmarc-bad-uri", ""},
		{[]string{"v=DMARC1; p=reject; rua=mailto:a@example.org mailto:b@example.org"}, "warning dmarc-bad-uri", "v=DMARC1; p=reject; rua=mailto:a@example.org,mailto:b@example.org"},
		{[]string{"v=DMARC1; p=reject; rua=mailto:<a@example.org>"}, "warning dmarc-bad-uri", ""},
		{[]string{"v=DMARC1; p=reject; rua=mailto:a@example.org;mailto:b@example.org"}, "warning dmarc-syntax", ""},
		{[]string{"v=DMARC1; p=reject; rua=mailto:a@example.org!10m"}, "note dmarc-uri-size", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; pct=100; rf=afrf; ri=86400" + rua}, "note dmarc-removed-tag, note dmarc-removed-tag, note dmarc-removed-tag", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; pct=0" + rua}, "warning dmarc-removed-tag", "v=DMARC1; p=reject; rua=mailto:a@example.org; t=y"},
		{[]string{"v=DMARC1; p=reject; pct=25" + rua}, "warning dmarc-removed-tag", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; r-ua=x" + rua}, "warning dmarc-syntax", ""},
		{[]string{"v=DMARC1; p=reject; adkim=strict" + rua}, "warning dmarc-wrong-value", ""},
		{[]string{"v=DMARC1; p=reject; fo=x; ruf=mailto:a@example.org" + rua}, "warning dmarc-wrong-value", ""},
		{[]string{"v=DMARC1; p=reject; fo=1:d; ruf=mailto:a@example.org" + rua}, "note dmarc-wrong-value", ""},
		{[]string{"v=DMARC1; p=reject; t=yes" + rua}, "warning dmarc-wrong-value", ""},
		{[]string{"v=DMARC1; p=reject; x=1" + rua}, "note dmarc-unknown-tag", ""},
		{[]string{"v=DMARC1; p=reject; rau=mailto:a@example.org" + rua}, "warning dmarc-unknown-tag", ""},
		{[]string{"v=DMARC1; P=reject" + rua}, "warning dmarc-unknown-tag, fault dmarc-no-policy", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1; p=reject; p=none" + rua}, "fault dmarc-duplicate-tag", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{[]string{"v=DMARC1;; p=reject" + rua}, "warning dmarc-syntax", ""},
		{[]string{"v=DMARC1; p=reject; rua=\"mailto:a@example.org\""}, "warning dmarc-split-pasted", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
	}
	for _, test := range tests {
		var published []TXT
		for _, text := range test.published {
			published = append(published, TXT{text})
		}
		findings := LintDMARC("_dmarc.example.org", published)
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
			if !strings.HasPrefix(value, "v=DMARC1") {
				continue
			}
			for _, again := range LintDMARC("_dmarc.example.org", []TXT{{value}}) {
				if again.Level == finding.Fault || again.Code == f.Code {
					t.Errorf("%q: the fix %q has %s", test.published, value, again.Code)
				}
			}
		}
	}
}

// Of several records the same one is told to be kept, in whatever order the DNS
// gives them.
func TestLintDMARCSeveral(t *testing.T) {
	strict, mild := TXT{"v=DMARC1; p=reject; rua=mailto:a@example.org"}, TXT{"v=DMARC1; p=quarantine; rua=mailto:b@example.org"}
	for _, published := range [][]TXT{{strict, mild}, {mild, strict}} {
		findings := LintDMARC("_dmarc.example.org", published)
		if len(findings) != 1 || lastLine(findings[0].Advice()) != mild.Text() {
			t.Errorf("got %+v", findings)
		}
	}
}
