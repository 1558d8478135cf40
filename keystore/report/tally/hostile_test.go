package tally

import (
	"net/netip"
	"strings"
	"testing"

	"signpost/keystore/report"
)

// Whatever one reporter makes up, a reason against that others give stays one.
func TestOneReporterCannotMakeSafe(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		if s.want != NotYet {
			continue
		}
		for name, lie := range lies() {
			p := newPost()
			s.tell(p)
			rows := []report.Row{}
			for _, r := range p.reports {
				rows = append(rows, r.Rows...)
			}
			for d := 1; d <= 28; d++ {
				p.on(d, "evil.example", lie(rows)...)
			}
			if v := p.tally(false).Answer(p.domain, ask(s.q)).Verdict; v.Safe != NotYet {
				t.Errorf("%s: %s: %s", s.name, name, said(v))
			}
		}
	}
}

// lies are what somebody may make of the rows that others tell of.
func lies() map[string]func([]report.Row) []report.Row {
	each := func(change func(*report.Row)) func([]report.Row) []report.Row {
		return func(rows []report.Row) []report.Row {
			seen := make(map[string]bool)
			var all []report.Row
			for _, r := range rows {
				if len(all) < 20 && !r.Passed() && !seen[r.Source.String()] {
					seen[r.Source.String()] = true
					r.Count = 900_000
					change(&r)
					all = append(all, r)
				}
			}
			return all
		}
	}
	pass := func(r *report.Row) {
		r.DKIM = true
		sigs := []report.Signature{{Domain: "example.org", Selector: "s1", Result: "pass"}}
		for _, s := range r.Signatures {
			s.Result = "pass"
			sigs = append(sigs, s)
		}
		r.Signatures = sigs
	}
	return map[string]func([]report.Row) []report.Row{
		"very much mail of the domain": func([]report.Row) []report.Row { return []report.Row{own(900_000)} },
		"DKIM passes there":            each(pass),
		"both pass there": each(func(r *report.Row) {
			pass(r)
			spf(r)
		}),
		"it was all forwarded": each(reason("forwarded")),
		"the keys pass elsewhere": each(func(r *report.Row) {
			pass(r)
			r.Source = netip.MustParseAddr("198.18.7.1")
		}),
		"the keys pass at hosts with SPF": each(func(r *report.Row) {
			pass(r)
			spf(r)
			r.Source = netip.MustParseAddr("198.18.7.1")
		}),
		"a list of forwarders": each(func(r *report.Row) {
			pass(r)
			through("forwarder.example")(r)
		}),
	}
}

// What is advised is pasted into a shell, and names in reports are as somebody wrote them.
func TestAdviceCanBePasted(t *testing.T) {
	t.Parallel()
	const evil = "$(reboot)"
	p := newPost()
	p.good()
	p.every(20, 4, mail("198.51.100.20", 30, through(evil+".example")))
	p.every(20, 4, mail("192.0.2.10", 5, other(evil+".example.org", "s9", "fail")))
	p.every(20, 4, mail("198.51.100.30", 5, other(evil+".example.org", "s8", "fail")))
	a := p.tally(false).Answer(p.domain, ask(nil))
	texts := []string{a.Verdict.Text}
	for _, r := range a.Verdict.Against {
		texts = append(texts, "--not-mine "+r.NotMine, r.Do)
	}
	for _, b := range a.Broken {
		texts = append(texts, b.Hint)
	}
	if len(texts) < 8 {
		t.Errorf("too little is advised: %q", texts)
	}
	for _, text := range texts {
		for i, command := range strings.Split(text, "`") {
			if (i%2 == 1 || strings.HasPrefix(command, "--not-mine")) && strings.Contains(command, evil) {
				t.Errorf("%q runs something else", text)
			}
		}
	}
}
