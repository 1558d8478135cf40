package tally

import (
	"slices"
	"testing"
	"time"

	"signpost/keystore/report"
)

// sentBy gives all reports an origin.
func sentBy(p *post, proof report.Proof, domain string) []*report.Report {
	all := p.all(false)
	for _, r := range all {
		r.Origin = report.Origin{Proof: proof, Domain: domain}
	}
	return all
}

func tallied(lists ...[]*report.Report) *Tally {
	t := New()
	for _, r := range slices.Concat(lists...) {
		t.Add(r)
	}
	return t
}

// What passed counts by whom it is proven to be from, and what failed counts always.
func TestOrigins(t *testing.T) {
	t.Parallel()
	good := newPost()
	good.good()
	several := func(proof report.Proof) []*report.Report {
		all := sentBy(good, proof, "")
		for _, r := range all {
			r.Origin.Domain = "mx." + r.Email[len("dmarc@"):]
		}
		return all
	}
	failing := newPost()
	failing.every(20, 3, mail("192.0.2.10", 5, other("example.org", "s1", "fail")))
	for name, test := range map[string]struct {
		tally *Tally
		want  Safety
		mail  Mail
	}{
		"not asked":                 {tallied(several(report.NotAsked)), Safe, Mail{}},
		"not known":                 {tallied(several(report.Unproven)), Safe, Mail{Unknown: 112}},
		"proven":                    {tallied(several(report.Proven)), Safe, Mail{Verified: 112, Signers: []string{"google.example", "mail.example.example", "gmx.example"}}},
		"proven to be of one":       {tallied(sentBy(good, report.Proven, "a.evil.example")), CannotSay, Mail{Verified: 112, Signers: []string{"evil.example"}}},
		"refuted":                   {tallied(several(report.Refuted)), CannotSay, Mail{Failed: 112}},
		"refuted, then proven":      {tallied(several(report.Refuted), several(report.Proven)), Safe, Mail{Verified: 112}},
		"proven, then refuted":      {tallied(several(report.Proven), several(report.Refuted)), Safe, Mail{Verified: 112}},
		"refuted, then a file":      {tallied(several(report.Refuted), several(report.Unproven)), Safe, Mail{Unknown: 112}},
		"failures that are refuted": {tallied(several(report.Proven), sentBy(failing, report.Refuted, "")), NotYet, Mail{Verified: 112, Failed: 60}},
	} {
		a := test.tally.Answer("example.org", ask(nil))
		got := a.Mail
		if test.mail.Signers == nil || len(test.mail.Signers) > 1 {
			got.Signers, test.mail.Signers = nil, nil
		}
		if a.Verdict.Safe != test.want || got.Verified != test.mail.Verified || got.Unknown != test.mail.Unknown ||
			got.Failed != test.mail.Failed || !slices.Equal(got.Signers, test.mail.Signers) {
			t.Errorf("%s: got %s, %+v: %s", name, a.Verdict.Safe, a.Mail, said(a.Verdict))
		}
	}
	// Refuted reports prove of no key that others took its place.
	all := several(report.Refuted)
	if s := tallied(all).Sighting("example.org", "old", time.Time{}, now); s.SinceReporters != 0 || s.SinceMessages != 0 {
		t.Errorf("got %+v", s)
	}
}
