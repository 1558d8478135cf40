package tally

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore/report"
)

func ago(days int) time.Time { return dayOf(now).AddDate(0, 0, -days) }

func answer(t *testing.T, tell func(*post), with func(*Question)) *Answer {
	t.Helper()
	p := newPost()
	tell(p)
	return p.tally(false).Answer(p.domain, ask(with))
}

func TestAnswerCounts(t *testing.T) {
	t.Parallel()
	a := answer(t, func(p *post) {
		p.policy = report.Policy{P: "quarantine", SP: "reject", Testing: true, Percent: 50}
		p.on(5, "google.com", own(3), mail("203.0.113.1", 2))
		p.on(2, "Yahoo", own(4), mail("203.0.113.1", 1, from("a.example.org"), reason("local_policy"), reason("local_policy")))
		p.reports["Yahoo!example.org!2"].Rows[1].Reasons[0].Comment = "arc=pass"
		p.on(7, "nothing.example")
		p.on(2, "google.com", mail("192.0.2.10", 5, from("b.example.org"), dkim("example.org", "s1")))
	}, nil)
	if a.Messages != (Count{12, 3}) || a.Reports != 4 || a.Covered != 2 ||
		!slices.Equal(a.Reporters, []string{"Yahoo", "google.com"}) {
		t.Errorf("got %+v of %d reports, %d days, by %v", a.Messages, a.Reports, a.Covered, a.Reporters)
	}
	if len(a.Days) != 4 || a.Days[0] != (Day{ago(5), Count{3, 2}, 1}) || a.Days[1] != (Day{Day: ago(4)}) ||
		a.Days[3] != (Day{ago(2), Count{9, 1}, 2}) || a.First != ago(5) || a.Last != ago(2) {
		t.Errorf("days are %+v, from %v to %v", a.Days, a.First, a.Last)
	}
	if p := a.Policy; p.P != "quarantine" || p.SP != "reject" || !p.Testing || p.Percent != 50 {
		t.Errorf("policy is %+v", p)
	}
	if want := []Subdomain{{"b.example.org", Count{5, 0}}, {"a.example.org", Count{0, 1}}}; !slices.Equal(a.Subdomains, want) {
		t.Errorf("subdomains are %+v", a.Subdomains)
	}
	if want := []Override{{"local_policy", "arc=pass", 1}}; !slices.Equal(a.Overrides, want) {
		t.Errorf("overrides are %+v", a.Overrides)
	}
	var sources []string
	for _, s := range a.Sources {
		sources = append(sources, fmt.Sprintf("%s %s %s %d/%d %d %d", s.Address, s.Network, s.Kind, s.Passed, s.Failed, s.DKIM, s.SPF))
	}
	if want := []string{"192.0.2.10 192.0.2.0/24 own 12/0 12 7", "203.0.113.1 203.0.113.0/24 unknown 0/3 0 0"}; !slices.Equal(sources, want) {
		t.Errorf("sources are %q", sources)
	}
}

// A day is that of the middle of the period, and the days to look back go by its end.
func TestAnswerDays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		begin, end time.Time
		want       int // days ago; -1 for not at all
	}{
		{ago(3), ago(2), 3}, // exclusive end, as rspamd has it
		{ago(3), ago(3), 3}, // no period at all
		{ago(3).Add(-11 * time.Hour), ago(2).Add(-11 * time.Hour), 3}, // zone east of UTC
		{ago(3).Add(14 * time.Hour), ago(2).Add(14 * time.Hour), 2},   // west
		{ago(9), ago(2), 6}, // a week
		{ago(3), ago(5), 3}, // end before begin
		{now.AddDate(0, 0, -31), now.AddDate(0, 0, -30), -1},        // just too old
		{now.AddDate(0, 0, -31), now.AddDate(0, 0, -30).Add(1), 30}, // just not
		{now.AddDate(0, 0, 2), now.AddDate(0, 0, 3), -1},            // of the future
	}
	for _, test := range tests {
		r := &report.Report{Reporter: "x", Begin: test.begin, End: test.end, Domain: "Example.org.", Rows: []report.Row{own(1)}}
		tally := New()
		tally.Add(r)
		a := tally.Answer("example.org", ask(nil))
		if test.want < 0 {
			if a.Reports != 0 {
				t.Errorf("%v to %v: is counted", test.begin, test.end)
			}
			continue
		}
		if a.Reports != 1 || a.First != ago(test.want) {
			t.Errorf("%v to %v: is of %v, want %v", test.begin, test.end, a.First, ago(test.want))
		}
	}
}

func TestAddTwice(t *testing.T) {
	t.Parallel()
	report1 := func(reporter, id string, begin time.Time, rows ...report.Row) *report.Report {
		return &report.Report{Reporter: reporter, ID: id, Begin: begin, End: begin.Add(24 * time.Hour), Domain: "example.org", Rows: rows}
	}
	tally := New()
	steps := []struct {
		r    *report.Report
		want bool
		sum  int
	}{
		{report1("a", "1", ago(3), own(5), own(5)), true, 10},
		{report1("A", "1", ago(3), own(5), own(5)), false, 10},
		{report1("a", "1", ago(2), own(5)), true, 15}, // some number them anew
		{report1("b", "1", ago(3), own(5)), true, 20},
		{report1("a", "2", ago(3), own(5)), true, 25},
		{report1("a", "1", ago(3), own(5), mail("203.0.113.1", 2)), true, 27}, // the rest of two days
		{report1("a", "1", ago(3), mail("203.0.113.1", 2)), false, 27},
	}
	for i, s := range steps {
		if added := tally.Add(s.r); added != s.want {
			t.Errorf("%d: added is %t", i, added)
		}
		if a := tally.Answer("example.org", ask(nil)); a.Messages.Total() != s.sum {
			t.Errorf("%d: %d messages, want %d", i, a.Messages.Total(), s.sum)
		}
	}
	a := tally.Answer("example.org", ask(nil))
	if a.Twice != 2 || !strings.Contains(said(a.Verdict), "1 report has the id of another one") {
		t.Errorf("%d came twice:\n%s", a.Twice, said(a.Verdict))
	}
	if got := tally.Domains(); !slices.Equal(got, []string{"example.org"}) {
		t.Errorf("domains are %q", got)
	}
}

// What no reporter should write does no harm.
func TestAddOdd(t *testing.T) {
	t.Parallel()
	tally := New()
	many := make([]report.Signature, 5000)
	for i := range many {
		many[i] = report.Signature{Domain: "example.org", Selector: fmt.Sprint(i), Result: "fail"}
	}
	tally.Add(&report.Report{Domain: "example.org", Begin: ago(1), End: ago(1), Rows: []report.Row{
		{Source: netip.MustParseAddr("192.0.2.1"), Count: 1 << 62, DKIM: true},
		{Source: netip.MustParseAddr("::ffff:192.0.2.1"), Count: 1 << 62, DKIM: true},
		{Source: netip.MustParseAddr("192.0.2.1"), Count: -5},
		{Count: 7},
		{Source: netip.MustParseAddr("fe80::1%eth0"), Count: 3, Signatures: many},
	}})
	a := tally.Answer("example.org", ask(nil))
	if a.Messages != (Count{2 * mostOfRow, 3}) || len(a.Sources) != 2 {
		t.Errorf("got %+v of %d sources", a.Messages, len(a.Sources))
	}
	if a := New().Answer("", Question{}); a.Verdict.Safe != CannotSay || a.Sources == nil || a.Days == nil {
		t.Errorf("without anything: %+v", a)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rows []report.Row
		q    func(*Question)
		want Kind
		why  string
	}{
		{"both", []report.Row{mail("198.51.100.1", 1, dkim("example.org", "s1"), spf), mail("198.51.100.1", 99)}, nil, Own, "SPF and DKIM both pass"},
		{"both, and hosts are given", []report.Row{mail("198.51.100.1", 1, dkim("example.org", "s1"), spf)}, hosts("192.0.2.0/24"), Relay, "SPF passes"},
		{"given", []report.Row{mail("198.51.100.1", 1)}, hosts("198.51.100.1/32"), Own, "(given)"},
		{"by name", []report.Row{mail("198.51.100.80", 1)}, names, Own, "its name is in example.org"},
		{"SPF", []report.Row{mail("198.51.100.1", 1, spf)}, nil, Relay, "SPF passes"},
		{"DKIM of a key that home hosts use", []report.Row{mail("198.51.100.1", 99, dkim("example.org", "s1"))}, nil, Forwarder, "forwarded"},
		{"DKIM of a key of its own", []report.Row{mail("198.51.100.1", 9, dkim("example.org", "crm"), through("crm.example"))}, nil, Relay, "most mail of that key"},
		{"reason", []report.Row{mail("198.51.100.1", 9, reason("mailing_list"))}, nil, Modifier, "receivers say"},
		{"broken, and SPF of its own", []report.Row{mail("198.51.100.1", 9, other("example.org", "s1", "fail"), through("lists.example"))}, nil, Modifier, "authenticated as lists.example"},
		{"broken", []report.Row{mail("198.51.100.1", 9, other("example.org", "s1", "fail"))}, nil, Modifier, "whose key passes elsewhere"},
		{"broken, and the key passes nowhere", []report.Row{mail("198.51.100.1", 9, other("example.org", "s9", "fail"))}, nil, Unknown, "passes nowhere"},
		{"service", []report.Row{mail("198.51.100.1", 9, through("crm.example"))}, nil, Service, "authenticated as crm.example"},
		{"HELO is not an author", []report.Row{mail("198.51.100.1", 9, func(r *report.Row) {
			r.Senders = []report.Sender{{Domain: "vps.example", Scope: "helo", Result: "pass"}}
		})}, nil, Unknown, "nothing passes"},
	}
	for _, test := range tests {
		source := test.rows[0].Source
		a := answer(t, func(p *post) {
			p.every(3, 3, own(50))
			p.on(2, "google.com", test.rows...)
			p.on(2, "Yahoo", test.rows...)
		}, test.q)
		i := slices.IndexFunc(a.Sources, func(s Source) bool { return s.Address == source })
		if s := a.Sources[i]; s.Kind != test.want || !strings.Contains(s.Why, test.why) {
			t.Errorf("%s: is %s: %s, want %s: %s", test.name, s.Kind, s.Why, test.want, test.why)
		}
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	tell := func(p *post) {
		p.every(5, 3, own(1), mail("198.51.100.20", 2, through("bounce.crm.example")), mail("203.0.113.77", 1))
	}
	for _, names := range [][]string{{"crm.example"}, {"198.51.100.20"}, {"198.51.100.0/24"}, {"CRM.example."}} {
		a := answer(t, tell, notMine(names...))
		for _, s := range a.Sources {
			if s.Ignored != (s.Address.String() == "198.51.100.20") {
				t.Errorf("%q: %s ignored is %t", names, s.Address, s.Ignored)
			}
		}
		for _, r := range a.Verdict.Against {
			if strings.Contains(r.What, "198.51.100.20") {
				t.Errorf("%q: against is %q", names, r.What)
			}
		}
	}
}

// The advice "not mine" of every reason takes that reason away.
func TestNotMine(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		p := newPost()
		s.tell(p)
		tally, q := p.tally(false), ask(s.q)
		for range 3 {
			v := tally.Answer(p.domain, q).Verdict
			i := slices.IndexFunc(v.Against, func(r Reason) bool { return r.NotMine != "" })
			if i < 0 {
				break
			}
			q.Ignore = append(slices.Clone(q.Ignore), v.Against[i].NotMine)
			again := tally.Answer(p.domain, q).Verdict
			if slices.ContainsFunc(again.Against, func(r Reason) bool { return r == v.Against[i] }) {
				t.Errorf("%s: %q stays against %q", s.name, v.Against[i].NotMine, v.Against[i].What)
				break
			}
		}
	}
}

func TestWhatIf(t *testing.T) {
	t.Parallel()
	a := answer(t, func(p *post) {
		p.policy = report.Policy{P: "reject", SP: "quarantine", NP: "none", Testing: true, Percent: 100}
		p.every(2, 2, own(10), mail("192.0.2.10", 1), // legitimate
			mail("203.0.113.1", 2), mail("203.0.113.1", 3, from("old.example.org")),
			own(1), mail("192.0.2.10", 1, from("known.example.org"), spf), mail("203.0.113.1", 5, from("known.example.org")))
	}, nil)
	want := []WhatIf{
		{Policy: "none", Delivered: 92},
		{Policy: "quarantine", Delivered: 48, Quarantined: 44, Legitimate: 4},
		{Policy: "reject", Delivered: 48, Rejected: 44, Legitimate: 4},
		// With t=y, reject is quarantine, and quarantine is none.
		{Policy: "as published", Delivered: 80, Quarantined: 12, Legitimate: 4, Unclear: 0},
	}
	if !reflect.DeepEqual(a.WhatIf, want) {
		t.Errorf("got %+v", a.WhatIf)
	}
	a = answer(t, func(p *post) {
		p.every(2, 2, own(10), mail("203.0.113.1", 3, from("old.example.org")), mail("192.0.2.10", 1, from("known.example.org"), spf),
			mail("203.0.113.1", 5, from("known.example.org")))
	}, published("v=DMARC1; p=quarantine; np=reject"))
	if w := a.WhatIf[3]; w != (WhatIf{Policy: "as published", Delivered: 44, Quarantined: 32, Unclear: 12}) {
		t.Errorf("with np: %+v", w)
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	a := answer(t, func(p *post) {
		p.on(1, "Yahoo", own(3), mail("203.0.113.1", 5, through("evil.example")), mail("203.0.113.1", 7),
			mail("198.51.100.7", 2, dkim("example.org", "s1")))
	}, nil)
	if a.Raw != (Raw{Passed: 5, Failed: 2}) {
		t.Errorf("got %+v", a.Raw)
	}
}
