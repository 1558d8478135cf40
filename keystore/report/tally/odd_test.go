package tally

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signpost/keystore/report"
)

// What is odd in reports, and what is right to say of it.
func TestOdd(t *testing.T) {
	t.Parallel()
	service := func(p *post, reporters ...string) { // each day a few messages of a service
		for ago := 1; ago <= 20; ago++ {
			for _, r := range reporters {
				p.on(ago, r, mail("198.51.100.20", 5, other("crm.example", "c1", "pass")))
			}
		}
	}
	published := func(text string) func(*Question) {
		return func(q *Question) { q.Published = text }
	}
	for name, test := range map[string]struct {
		tell func(*post)
		q    func(*Question)
		want Safety
		says string
		step string
	}{
		"reporters in other case": {func(p *post) {
			for ago := 1; ago <= 28; ago++ {
				for _, r := range []string{"google.com", "Google.com", "GOOGLE.COM", "google.Com"} {
					p.on(ago, r, own(15))
				}
			}
		}, nil, CannotSay, "only 1 reporter tells", "quarantine"},
		"their number in the text": {func(p *post) {
			p.good()
			p.every(28, 4, own(1))
			for ago := 1; ago <= 28; ago++ {
				p.on(ago, "GOOGLE.com", own(1))
			}
		}, nil, Safe, "from 4 reporters", "quarantine"},
		"a forger in other case excuses nothing": {func(p *post) {
			p.every(28, 4, own(15))
			// Three spellings tell that the key passes elsewhere: else a list would be to blame.
			for ago := 1; ago <= 20; ago++ {
				p.on(ago, "evil.example", mail("198.51.100.30", 50, dkim("example.org", "c9")))
				p.on(ago, "Evil.example", mail("203.0.113.30", 50, dkim("example.org", "c9")))
				p.on(ago, "google.com", mail("198.51.100.20", 12, other("example.org", "c9", "fail"), other("crm.example", "c1", "pass")))
			}
		}, nil, NotYet, "crm.example", "quarantine"},
		"mapped address not mine": {func(p *post) { p.good(); service(p, "google.com", "Yahoo") },
			func(q *Question) { q.Ignore = []string{"::ffff:198.51.100.20"} }, Safe, "", "quarantine"},
		"mapped network not mine": {func(p *post) { p.good(); service(p, "google.com", "Yahoo") },
			func(q *Question) { q.Ignore = []string{"::ffff:198.51.100.0/120"} }, Safe, "", "quarantine"},
		"mapped network of ours": {func(p *post) {
			p.good()
			p.every(20, 3, mail("198.51.100.9", 1))
		}, func(q *Question) {
			q.Own = []netip.Prefix{netip.MustParsePrefix("::ffff:198.51.100.0/120"), netip.MustParsePrefix("192.0.2.0/24")}
		}, NotYet, "your host", "quarantine"},
		"mail of another domain": {func(p *post) {
			p.every(28, 4, own(1), func() report.Row { r := own(500); r.From = "other.example"; return r }())
		}, func(q *Question) { q.Thresholds = Thresholds{Days: 14, Reporters: 3, Messages: 200} }, CannotSay, "only 112 messages passed", "quarantine"},
		"mail of a domain with our name in it": {func(p *post) {
			p.every(28, 4, own(1), func() report.Row { r := own(500); r.From = "notexample.org"; return r }())
		}, func(q *Question) { q.Thresholds = Thresholds{Days: 14, Reporters: 3, Messages: 200} }, CannotSay, "only 112 messages passed", "quarantine"},
		"reject in capitals":   {func(p *post) { p.good() }, published("v=DMARC1; p=REJECT"), Safe, "p=reject stays", ""},
		"quarantine in part":   {func(p *post) { p.good() }, published("v=DMARC1; p=quarantine; pct=20"), Safe, "", "quarantine"},
		"quarantine of nobody": {func(p *post) { p.good() }, published("v=DMARC1; p=quarantine; pct=0"), Safe, "", "quarantine"},
		"none of nobody":       {func(p *post) { p.good() }, published("v=DMARC1; p=none; pct=0"), Safe, "", "quarantine"},
		"pct that is none":     {func(p *post) { p.good() }, published("v=DMARC1; p=quarantine; pct=x"), Safe, "", "reject"},
		"testing reject":       {func(p *post) { p.good() }, published("v=DMARC1; p=reject; t=y"), Safe, "", "reject"},
		"testing none":         {func(p *post) { p.good() }, published("v=DMARC1; p=none; t=y"), Safe, "", "quarantine"},
		"testing in capitals":  {func(p *post) { p.good() }, published("v=DMARC1; p=reject; t=Y"), Safe, "", "reject"},
		"np alone":             {func(p *post) { p.good() }, published("v=DMARC1; p=none; np=reject"), Safe, "", "quarantine"},
		"subdomain that fails, np": {func(p *post) {
			p.good()
			p.every(20, 3, mail("198.51.100.20", 5, other("crm.example", "c1", "pass"), from("news.example.org")))
		}, published("v=DMARC1; p=none; np=reject"), NotYet, "crm.example", "quarantine"},
		"subdomain that fails, sp": {func(p *post) {
			p.good()
			p.every(20, 3, mail("198.51.100.20", 5, other("crm.example", "c1", "pass"), from("news.example.org")))
		}, published("v=DMARC1; p=none; sp=none"), Safe, "", "quarantine"},
		"sp in capitals": {func(p *post) {
			p.good()
			p.every(20, 3, mail("198.51.100.20", 5, other("crm.example", "c1", "pass"), from("news.example.org")))
		}, published("v=DMARC1; p=none; sp=QUARANTINE"), NotYet, "crm.example", "quarantine"},
		"days to come": {func(p *post) {
			p.every(28, 4)
			for ahead := 3; ahead < 30; ahead++ {
				for _, r := range receivers[:4] {
					p.on(-ahead, r, own(15))
				}
			}
		}, nil, CannotSay, "", "quarantine"},
		"a clock that is a day ahead": {func(p *post) {
			for ago := 0; ago < 28; ago++ {
				for _, r := range receivers[:4] {
					p.on(ago-1, r, own(15))
				}
			}
		}, nil, Safe, "", "quarantine"},
		"our clock is years behind": {func(p *post) { p.good() }, func(q *Question) { q.Now = time.Unix(0, 0) }, CannotSay, "no reports but of days to come", "quarantine"},
		"our clock is years ahead":  {func(p *post) { p.good() }, func(q *Question) { q.Now = now.AddDate(5, 0, 0) }, CannotSay, "the last one is of 28 November 2026", "quarantine"},
		"all of one day": {func(p *post) {
			for i := range 40 {
				p.on(1, fmt.Sprintf("r%d.example", i), own(100))
			}
		}, nil, CannotSay, "only 1 day ", "quarantine"},
	} {
		p := newPost()
		test.tell(p)
		v := p.tally(false).Answer("Example.ORG.", ask(test.q)).Verdict
		if v.Safe != test.want || !strings.Contains(said(v), test.says) || v.Next != test.step {
			t.Errorf("%s: got %s, next %q: %s", name, v.Safe, v.Next, said(v))
		}
	}
}
