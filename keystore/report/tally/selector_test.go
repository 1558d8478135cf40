package tally

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore/report"
)

func TestSelectors(t *testing.T) {
	t.Parallel()
	p := newPost()
	for d := 1; d <= 16; d++ {
		for _, reporter := range receivers[:3] {
			p.on(d, reporter, mail("192.0.2.10", 86, dkim("example.org", "s2"), spf))
		}
	}
	p.on(17, "google.com", mail("192.0.2.10", 9, dkim("example.org", "s1"), spf), mail("192.0.2.12", 4, dkim("example.org", "s1")))
	p.on(20, "Yahoo", mail("192.0.2.12", 40, dkim("example.org", "s1")))
	p.on(1, "Yahoo", mail("198.51.100.7", 1, dkim("example.org", "late"), spf))
	p.on(9, "Yahoo", mail("198.51.100.9", 6, dkim("example.org", "sneaky")))
	p.on(9, "Yahoo", mail("203.0.113.9", 7, other("example.org", "made.up", "permerror")))
	p.on(9, "Yahoo", mail("203.0.113.9", 3, dkim("news.example.org", "n1"), from("news.example.org")))
	q := ask(func(q *Question) {
		q.KeysKnown = true
		q.Keys = []Key{{"example.org", "s2", "active", true}, {"example.org", "s1", "retiring", false}, {"example.org", "late", "retiring", false},
			{"example.org", "old", "retired", false}, {"example.org", "next", "published", false}, {"example.org", "idle", "active", true},
			{"elsewhere.org", "x", "active", true}}
	})
	a := p.tally(false).Answer("example.org", q)
	var got []string
	for _, s := range a.Selectors {
		text := s.Domain + " " + s.Selector + ": " + s.What
		if s.Foreign {
			text += " [foreign]"
		}
		got = append(got, text)
	}
	want := []string{
		"example.org s2: in use, last seen yesterday by Yahoo from 192.0.2.10",
		"example.org s1: last seen on 12 November by google.com from 192.0.2.10; since then 3 reporters told of 4,135 messages: finish is safe",
		"example.org late: still used by 198.51.100.7 (Yahoo, yesterday)",
		"example.org old: never seen, while 3 reporters told of 4,188 messages: finish is safe",
		"example.org next: never seen",
		"example.org idle: signs, and no report names it",
		"example.org sneaky: signs for example.org with a key that is not yours: 6 messages, last seen on 20 November by Yahoo from 198.51.100.9 [foreign]",
		"example.org made.up: 7 messages with it, of which none passed: somebody forges, or signs with a key that is not published [foreign]",
		"news.example.org n1: signs for news.example.org with a key that is not yours: 3 messages, last seen on 20 November by Yahoo from 203.0.113.9 [foreign]",
		"elsewhere.org x: signs, and no report names it",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(a.Unseen, []string{"idle", "x"}) {
		t.Errorf("unseen are %q", a.Unseen)
	}
}

func TestSighting(t *testing.T) {
	t.Parallel()
	p := newPost()
	p.every(4, 3, mail("192.0.2.10", 5, dkim("example.org", "s2")), mail("192.0.2.10", 50, dkim("example.org", "")), mail("192.0.2.10", 2))
	p.on(6, "Yahoo", mail("192.0.2.10", 3, dkim("example.org", "s1"), dkim("example.org", "s2")), mail("192.0.2.11", 4, dkim("example.org", "s1")))
	p.on(8, "Yahoo", mail("192.0.2.12", 30, dkim("example.org", "s1"), other("example.org", "s1", "fail")))
	p.on(-60, "evil.example", mail("203.0.113.1", 9, dkim("example.org", "s1"), dkim("example.org", "s2")))
	// A report on another domain tells of the key, too.
	p.domain = "example.com"
	p.on(5, "gmx.example", mail("192.0.2.13", 1, dkim("example.org", "s1")))
	// A week in which the key may have signed to the end: what begins before proves nothing.
	tally := p.tally(false)
	got := tally.Sighting("Example.org.", "S1", time.Time{}, now)
	want := Sighting{First: ago(8), Last: ago(5), Passed: 38, Failed: 30, Reporter: "gmx.example",
		Source: netip.MustParseAddr("192.0.2.13"), SinceDays: 4, SinceReporters: 3, SinceMessages: 60}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Unused(Thresholds{}) || !(Sighting{SinceDays: 5, SinceReporters: 3, SinceMessages: 100}).Unused(Thresholds{}) {
		t.Error("four days and 60 messages prove that it is unused, or five and 100 do not")
	}
	if s := tally.Sighting("example.org", "s1", ago(3).Add(9*time.Hour), now); s.SinceDays != 2 || s.SinceMessages != 30 {
		t.Errorf("after it stopped: %+v", s)
	}
	if s := tally.Sighting("example.org", "s1", time.Time{}, time.Time{}); !s.Last.After(now) {
		t.Errorf("without a time, days to come are left out: %+v", s)
	}
	if s := tally.Sighting("example.org", "never", time.Time{}, now); !s.Last.IsZero() || s.SinceMessages != 98 || s.SinceReporters != 4 {
		t.Errorf("never seen: %+v", s)
	}
	if s := tally.Sighting("nowhere.example", "s1", time.Time{}, now); s != (Sighting{}) {
		t.Errorf("of another domain: %+v", s)
	}
	week := &report.Report{Reporter: "slow.example", Begin: ago(9), End: ago(2), Domain: "example.org",
		Rows: []report.Row{mail("192.0.2.10", 1, dkim("example.org", "s1"))}}
	tally.Add(week)
	if s := tally.Sighting("example.org", "s1", time.Time{}, now); s.SinceDays != 2 {
		t.Errorf("after a report of a week: %+v", s)
	}
}

func TestBroken(t *testing.T) {
	t.Parallel()
	bad := func(selector, result string) func(*report.Row) { return other("example.org", selector, result) }
	tests := []struct {
		name string
		tell func(*post)
		what string
		hint string
	}{
		{"one receiver", func(p *post) { p.on(2, "mail.example", mail("192.0.2.10", 4, bad("s1", "fail"), spf)) },
			"only mail.example says so: its fault most likely", ""},
		{"one host, several receivers, one day", func(p *post) {
			for _, reporter := range receivers[:3] {
				p.on(17, reporter, mail("192.0.2.10", 4, bad("s1", "fail"), spf))
			}
		}, "12 messages of 192.0.2.10 with the key s1 of example.org failed (fail) on 12 November: 3 receivers agree", "path-line-length"},
		{"one key, everywhere", func(p *post) {
			p.every(3, 3, mail("192.0.2.10", 4, bad("s2", "permerror"), spf))
		}, "(permerror) on 3 days, most yesterday, and the key passes nowhere: its record is wrong or missing", "signpost check example.org"},
		{"DNS", func(p *post) { p.every(1, 3, mail("192.0.2.10", 4, bad("s1", "temperror"), spf)) },
			"receivers could not fetch its record", "name server"},
		{"mailing list", func(p *post) {
			p.every(3, 3, mail("198.51.100.30", 4, bad("s1", "fail"), through("lists.example")))
		}, "not by you", ""},
		{"forged", func(p *post) { p.every(3, 3, mail("203.0.113.30", 4, bad("nix", "fail"))) }, "forged, or a host of yours", "signpost check"},
	}
	for _, test := range tests {
		a := answer(t, func(p *post) {
			p.good()
			test.tell(p)
		}, nil)
		if len(a.Broken) != 1 {
			t.Errorf("%s: %d are broken", test.name, len(a.Broken))
			continue
		}
		b := a.Broken[0]
		if !strings.Contains(b.What, test.what) || !strings.Contains(b.Hint, test.hint) || (b.Hint == "") != (test.hint == "") {
			t.Errorf("%s: %s (hint: %s)", test.name, b.What, b.Hint)
		}
	}
	a := answer(t, func(p *post) {
		p.every(9, 3, mail("192.0.2.10", 4, dkim("example.org", "s1"), bad("ed1", "permerror"), spf))
	}, nil)
	if len(a.Broken) > 0 {
		t.Errorf("a key of an unknown algorithm beside one that passes: %+v", a.Broken)
	}
}

// rspamd and others name no selectors: their reports say nothing of which key is in use.
func TestNoSelectors(t *testing.T) {
	t.Parallel()
	a := answer(t, func(p *post) {
		p.every(20, 4, mail("192.0.2.10", 5, dkim("example.org", ""), spf))
	}, func(q *Question) {
		q.KeysKnown = true
		q.Keys = []Key{{"example.org", "s2", "active", true}, {"example.org", "s1", "retiring", false}}
	})
	var got []string
	for _, s := range a.Selectors {
		got = append(got, s.Selector+": "+s.What)
	}
	want := []string{"s2: signs, and the reports name no selectors", "s1: never seen",
		": the reporters name no selector: 400 messages, last seen yesterday by Yahoo from 192.0.2.10"}
	if !slices.Equal(got, want) || len(a.Unseen) > 0 || a.Verdict.Safe != Safe {
		t.Errorf("got %q, unseen %q, %s", got, a.Unseen, said(a.Verdict))
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	a := answer(t, func(p *post) {
		p.policy.P = "quarantine"
		done := func(d string) func(*report.Row) { return func(r *report.Row) { r.Disposition = d } }
		p.on(1, "Yahoo", mail("192.0.2.10", 1, spf, reason("local_policy")),
			mail("203.0.113.1", 2, reason("local_policy")), mail("203.0.113.1", 4, reason("local_policy"), done("quarantine")),
			mail("203.0.113.1", 8, reason("mailing_list"), done("quarantine")), mail("203.0.113.1", 16, reason("other"), done("reject")))
	}, nil)
	if want := []Override{{"mailing_list", "", 8}, {"local_policy", "", 2}}; !slices.Equal(a.Overrides, want) {
		t.Errorf("got %+v", a.Overrides)
	}
}
