package report

import "io"

// ParseAll reads the reports that stand one after the other in one stream, as zcat or cat makes it
// of many files, and calls found for each, until that returns false. In all else it does as Parse.
//
// Whatever begins a new <feedback> ends the report before it. Where senders may have a hand in the
// text, as of a report that was mailed, this would let them give the rest of a report away as
// another one: there use Parse, which takes all records for those of the one report.
func ParseAll(r io.Reader, found func(*Report, error) bool) {
	in, unknown := utf8Reader(r)
	m := newMarkup(in)
	m.several = true
	for {
		report, err := parseReport(m, unknown)
		if !found(report, err) {
			return
		}
		more, failed := m.follows()
		if failed != nil && err == nil {
			found(nil, failed)
		}
		if !more {
			return
		}
	}
}
