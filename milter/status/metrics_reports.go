package status

import (
	"cmp"
	"slices"
	"strings"

	dmarc "signpost/keystore/report/tally"
	"signpost/milter/status/view"

	"github.com/prometheus/client_golang/prometheus"
)

// reportDescs are the metrics of DMARC reports. There are none when no reports are read.
type reportDescs struct {
	up, read, reports, unreadable, left, domains *prometheus.Desc
	last, verdict, messages                      *prometheus.Desc // of a domain
}

func newReportDescs(desc func(name, help string, labels ...string) *prometheus.Desc) reportDescs {
	return reportDescs{
		up:         desc("reports_up", "1 if the DMARC reports can be read, 0 if what they said before stays."),
		read:       desc("reports_read_timestamp_seconds", "When the reports were last looked at."),
		reports:    desc("reports", "DMARC reports that count."),
		unreadable: desc("reports_unreadable", "Reports that cannot be read."),
		left:       desc("reports_files_left_out", "Files that are not read to the end, for there are too many reports."),
		domains:    desc("dmarc_domains", "Domains by whether the reports say that a stricter policy is safe.", "verdict"),
		last: desc("dmarc_last_report_timestamp_seconds",
			"Day of the last DMARC report on the domain; of a bounded number, those not safe first.", "domain"),
		verdict: desc("dmarc_verdict", "1 for what the reports say of a stricter policy of the domain.",
			"domain", "verdict"),
		messages: desc("dmarc_messages", "Messages that were reported within --report-days.", "domain", "result"),
	}
}

func (d *reportDescs) describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{d.up, d.read, d.reports, d.unreadable, d.left, d.domains, d.last,
		d.verdict, d.messages} {
		out <- desc
	}
}

// collect shows up to a number of domains, as it does for keys.
func (d *reportDescs) collect(source *Source, most int, gauge func(*prometheus.Desc, float64, ...string)) {
	s := source.Reports()
	if s == nil {
		return
	}
	gauge(d.up, number(s.Why == ""))
	if !s.Read.IsZero() {
		gauge(d.read, seconds(s.Read))
	}
	gauge(d.reports, float64(s.Reports))
	gauge(d.unreadable, float64(s.Unreadable))
	gauge(d.left, float64(s.Left))
	for _, verdict := range []dmarc.Safety{dmarc.Safe, dmarc.NotYet, dmarc.CannotSay} {
		gauge(d.domains, float64(s.Domains[string(verdict)]), string(verdict))
	}
	type told struct {
		name string
		*view.DMARC
	}
	var all []told
	for name, domain := range source.Verdicts {
		all = append(all, told{valid(name), domain})
	}
	slices.SortFunc(all, func(a, b told) int {
		return cmp.Or(cmp.Compare(urgency(a.Verdict.Safe), urgency(b.Verdict.Safe)), strings.Compare(a.name, b.name))
	})
	for _, t := range all[:min(len(all), most)] {
		gauge(d.last, seconds(t.Last), t.name)
		gauge(d.verdict, 1, t.name, string(t.Verdict.Safe))
		gauge(d.messages, float64(t.Messages.Passed), t.name, "passed")
		gauge(d.messages, float64(t.Messages.Failed), t.name, "failed")
	}
}

// urgency is the order of verdicts.
func urgency(s dmarc.Safety) int {
	return slices.Index([]dmarc.Safety{dmarc.NotYet, dmarc.CannotSay, dmarc.Safe}, s)
}
