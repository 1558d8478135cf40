package tally

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"signpost/keystore/report"
)

// dayReport is a report on one day before now.
func dayReport(reporter, id, domain string, ago int, rows ...report.Row) *report.Report {
	begin := dayOf(now).AddDate(0, 0, -ago)
	return &report.Report{Reporter: reporter, ID: id, Begin: begin, End: begin.Add(24*time.Hour - 1), Domain: domain,
		Policy: report.Policy{P: "none", Percent: 100}, Rows: rows}
}

// signedBy is a message that a key of example.org signed.
func signedBy(selector string) report.Row {
	row := mail("192.0.2.1", 1, other("example.org", selector, "pass"))
	row.DKIM = true
	return row
}

// A reporter that gives one id to all of its reports does not make each of them cost as much as
// all before it: this would take minutes.
func TestVeryManyReportsWithOneID(t *testing.T) {
	all := New()
	const n = 30_000
	row := func(i int) report.Row {
		return mail(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 7}).String(), 1)
	}
	for i := range n {
		if !all.Add(dayReport("r", "1", "example.org", 1, row(i))) {
			t.Fatalf("report %d has another row, and does not count", i)
		}
	}
	if all.Add(dayReport("r", "1", "example.org", 1, row(1), row(n-1))) {
		t.Error("rows of other reports count twice")
	}
	if !all.Add(dayReport("r", "1", "example.org", 1, row(1), row(1))) {
		t.Error("a row that is there twice counts once")
	}
	if got := all.Answer("example.org", ask(nil)).Messages.Total(); got != n+1 {
		t.Errorf("%d messages, want %d", got, n+1)
	}
}

// The key of a domain signs for all below it, and what is remembered of it is not old.
func TestKeyOfVeryManyDomains(t *testing.T) {
	all := New()
	const n = 3 * fewReports
	for i := range n {
		all.Add(dayReport("r", fmt.Sprint(i), fmt.Sprintf("d%d.example.org", i), 3, signedBy("old")))
	}
	passed := func(domain string) (int, time.Time) {
		for _, s := range all.Answer(domain, ask(nil)).Selectors {
			if s.Domain == "example.org" && s.Selector == "old" {
				return s.Passed, s.Last
			}
		}
		return 0, time.Time{}
	}
	for i := range 3 {
		if got, last := passed(fmt.Sprintf("d%d.example.org", i)); got != n || !last.Equal(dayOf(now).AddDate(0, 0, -3)) {
			t.Errorf("%d messages, the last on %s", got, last)
		}
	}
	all.Add(dayReport("r", "later", "d1.example.org", 1, signedBy("old")))
	if got, last := passed("d1.example.org"); got != n+1 || !last.Equal(dayOf(now).AddDate(0, 0, -1)) {
		t.Errorf("with another report: %d messages, the last on %s", got, last)
	}
	before := now.AddDate(0, 0, -3)
	if s := all.Sighting("example.org", "old", time.Time{}, before); s.Passed != n {
		t.Errorf("three days before: %d messages", s.Passed)
	}
}

// A report of a thousand years would count always, and as of a day to come, on which a key that
// was given up long ago is in use.
func TestEndlessPeriod(t *testing.T) {
	all := New()
	r := dayReport("r", "1", "example.org", 1000, signedBy("old"))
	r.End, r.Policy.P = now.AddDate(1000, 0, 0), "reject"
	all.Add(r)
	if a := all.Answer("example.org", ask(nil)); a.Reports != 0 || a.Policy.P != "" {
		t.Errorf("it counts: %d reports, p=%s", a.Reports, a.Policy.P)
	}
	if s := all.Sighting("example.org", "old", time.Time{}, now); !s.Last.Equal(dayOf(r.Begin)) {
		t.Errorf("last seen on %s", s.Last)
	}
}

// The names of the first sources are asked for. A reporter that tells of millions of messages of
// a thousand addresses does not put the hosts behind them that honest ones tell of.
func TestSourcesByReporter(t *testing.T) {
	all := New()
	var forged []report.Row
	for i := range 1000 {
		forged = append(forged, mail(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 7}).String(), 1_000_000))
	}
	all.Add(dayReport("liar", "1", "example.org", 1, forged...))
	all.Add(dayReport("honest", "1", "example.org", 1, mail("192.0.2.1", 20), mail("192.0.2.2", 10)))
	sources := all.Sources("example.org", ask(nil))
	if len(sources) != 1002 || sources[1].String() != "192.0.2.1" || sources[3].String() != "192.0.2.2" {
		t.Errorf("%d sources, the first: %s", len(sources), sources[:4])
	}
}
