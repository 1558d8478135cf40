package status

import (
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter/reports/watch"
	"signpost/milter/status/view"
)

// reports returns how the reading of reports goes; nil when none are read.
func (f *Facts) reports() *view.Reports {
	if f.Reports == nil {
		return nil
	}
	s := f.Reports.State()
	shown := &view.Reports{Path: s.Path, Read: s.Read.UTC(), Files: s.Files, Reports: s.Reports,
		Unreadable: s.Unreadable, Left: s.Left, Domains: make(map[string]int)}
	if s.Err != nil {
		shown.Failing, shown.Why = s.Since.UTC(), finding.Text(s.Err)
	}
	for _, summary := range f.Reports.All() {
		shown.Domains[string(summary.Verdict.Safe)]++
	}
	return shown
}

// verdicts yields what the reports say of each domain.
func (f *Facts) verdicts(yield func(string, *view.DMARC) bool) {
	if f.Reports == nil {
		return
	}
	for domain, summary := range f.Reports.All() {
		if !yield(domain, shownDMARC(summary)) {
			return
		}
	}
}

// dmarc returns what the reports say of a domain; nil for nothing.
func (f *Facts) dmarc(domain string) *view.DMARC {
	if f.Reports == nil {
		return nil
	}
	return shownDMARC(f.Reports.Of(domain))
}

func shownDMARC(s *watch.Summary) *view.DMARC {
	if s == nil {
		return nil
	}
	return &view.DMARC{Last: s.Last, Reports: s.Reports, Reporters: s.Reporters, Messages: s.Messages,
		Policy: s.Policy.P, Verdict: s.Verdict}
}

// status returns the keys of a domain with what reports say of those that no longer sign.
func (f *Facts) status(domain string, now time.Time) []rotation.Status {
	all := f.Book.Status(domain, now)
	for i, key := range all {
		all[i] = f.Evidence.Weigh(key, rotation.Overlap, now)
	}
	return all
}
