package tally

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signpost/keystore/report"
)

// now is a Sunday evening, on which all stories are told.
var now = time.Date(2026, 11, 29, 20, 0, 0, 0, time.UTC)

var receivers = []string{"google.com", "Yahoo", "mail.example", "gmx.example", "web.example", "isp.example", "corp.example"}

// post is reports in the making, by reporter and how many days ago the day was.
type post struct {
	policy  report.Policy
	domain  string
	reports map[string]*report.Report
	order   []string
}

func newPost() *post {
	return &post{domain: "example.org", policy: report.Policy{P: "none", Percent: 100},
		reports: make(map[string]*report.Report)}
}

// on adds rows to the report of one reporter on one day.
func (p *post) on(ago int, reporter string, rows ...report.Row) {
	name := fmt.Sprintf("%s!%s!%d", reporter, p.domain, ago)
	r := p.reports[name]
	if r == nil {
		begin := dayOf(now).AddDate(0, 0, -ago)
		r = &report.Report{Reporter: reporter, Email: "dmarc@" + strings.ToLower(strings.TrimSuffix(reporter, ".com")) + ".example",
			ID: name, Begin: begin, End: begin.Add(24*time.Hour - time.Second), Domain: p.domain, Policy: p.policy}
		p.reports[name] = r
		p.order = append(p.order, name)
	}
	r.Rows = append(r.Rows, rows...)
}

// every adds rows to the reports of the first reporters on each of the last days.
func (p *post) every(days, reporters int, rows ...report.Row) {
	for ago := 1; ago <= days; ago++ {
		for _, reporter := range receivers[:reporters] {
			p.on(ago, reporter, rows...)
		}
	}
}

// good is four weeks of mail of a host that does everything right: 1,680 messages.
func (p *post) good() { p.every(28, 4, own(15)) }

// all returns the reports; with raw, as somebody would read them who goes by the raw results.
func (p *post) all(raw bool) []*report.Report {
	var all []*report.Report
	for _, name := range p.order {
		r := *p.reports[name]
		r.Rows = append([]report.Row(nil), r.Rows...)
		for i := range r.Rows {
			row := &r.Rows[i]
			if !raw {
				continue
			}
			row.DKIM, row.SPF = false, false
			for _, s := range row.Signatures {
				row.DKIM = row.DKIM || s.Result == "pass"
			}
			for _, s := range row.Senders {
				row.SPF = row.SPF || s.Result == "pass"
			}
		}
		all = append(all, &r)
	}
	return all
}

func (p *post) tally(raw bool) *Tally {
	t := New()
	for _, r := range p.all(raw) {
		t.Add(r)
	}
	return t
}

// mail is messages from a source that fail; the with functions say what is right with them.
func mail(source string, n int, with ...func(*report.Row)) report.Row {
	r := report.Row{Source: netip.MustParseAddr(source), Count: n, Disposition: "none", From: "example.org",
		EnvelopeFrom: "example.org"}
	for _, f := range with {
		f(&r)
	}
	if len(r.Senders) == 0 {
		r.Senders = []report.Sender{{Domain: r.EnvelopeFrom, Scope: "mfrom", Result: "softfail"}}
	}
	return r
}

// dkim is an aligned signature that passes.
func dkim(domain, selector string) func(*report.Row) {
	return func(r *report.Row) {
		r.DKIM = true
		r.Signatures = append(r.Signatures, report.Signature{Domain: domain, Selector: selector, Result: "pass"})
	}
}

// other is a signature with a result, that is not aligned or does not pass.
func other(domain, selector, result string) func(*report.Row) {
	return func(r *report.Row) {
		r.Signatures = append(r.Signatures, report.Signature{Domain: domain, Selector: selector, Result: result})
	}
}

func spf(r *report.Row) {
	r.SPF = true
	r.Senders = []report.Sender{{Domain: "example.org", Scope: "mfrom", Result: "pass"}}
}

// through is SPF that passes for another domain.
func through(domain string) func(*report.Row) {
	return func(r *report.Row) {
		r.EnvelopeFrom = domain
		r.Senders = []report.Sender{{Domain: domain, Scope: "mfrom", Result: "pass"}}
	}
}

func from(domain string) func(*report.Row) { return func(r *report.Row) { r.From = domain } }

func reason(kind string) func(*report.Row) {
	return func(r *report.Row) { r.Reasons = append(r.Reasons, report.Reason{Type: kind}) }
}

func emptySender(r *report.Row) {
	r.EnvelopeFrom = ""
	r.Senders = []report.Sender{{Domain: "mail.example.org", Scope: "helo", Result: "none"}}
}

func own(n int) report.Row { return mail("192.0.2.10", n, dkim("example.org", "s1"), spf) }

// forgery is mail of very many addresses, two messages of each.
func forgery(p *post, addresses int) {
	for i := range addresses {
		p.on(1+i%28, receivers[i%4], mail(fmt.Sprintf("203.%d.%d.9", i/200%200, i%200), 2))
	}
}

func ask(with func(*Question)) Question {
	q := Question{Now: now, Days: 30}
	if with != nil {
		with(&q)
	}
	return q
}

// story is something that happens, and what is right to say of it.
type story struct {
	name string
	tell func(*post)
	q    func(*Question)
	want Safety
	text string // that is in the text of the verdict, or in its reasons or notes
	raw  Safety // what the raw results would have said
}

func TestStories(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p := newPost()
			s.tell(p)
			v := p.tally(false).Answer(p.domain, ask(s.q)).Verdict
			raw := p.tally(true).Answer(p.domain, ask(s.q)).Verdict
			t.Logf("%s", v.Text)
			if v.Safe != s.want || !strings.Contains(said(v), s.text) {
				t.Errorf("%s, want %s and %q:\n%s", v.Safe, s.want, s.text, said(v))
			}
			if raw.Safe != s.raw {
				t.Errorf("raw results say %s, want %s:\n%s", raw.Safe, s.raw, said(raw))
			}
		})
	}
}

// said is all that a verdict says.
func said(v Verdict) string {
	lines := []string{v.Text}
	for _, r := range v.Against {
		lines = append(lines, "against: "+r.What+": "+r.Do+" ["+r.NotMine+"]")
	}
	for _, n := range v.Lacking {
		lines = append(lines, "lacking: "+n)
	}
	for _, n := range v.Notes {
		lines = append(lines, "note: "+n)
	}
	return strings.Join(append(lines, "record: "+v.Record), "\n")
}
