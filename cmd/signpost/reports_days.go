package main

import (
	"fmt"
	"strings"

	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
)

// columns sums days up so that they fit into so many columns at most, and returns how many
// days each has. A column without a report has none.
func columns(days []tally.Day, most int) (sums []tally.Day, each int) {
	each = max(1, (len(days)+most-1)/most)
	for i, day := range days {
		if i%each == 0 {
			sums = append(sums, tally.Day{Day: day.Day})
		}
		last := &sums[len(sums)-1]
		last.Passed += day.Passed
		last.Failed += day.Failed
		last.Reports += day.Reports
	}
	return sums, each
}

// sparkline draws numbers as bars, the highest for the greatest. What there is is seen, if
// it is one among thousands; a dot is for a column without reports.
func sparkline(days []tally.Day, of func(tally.Day) int) (line string, most int) {
	bars := []rune("▁▂▃▄▅▆▇█")
	for _, day := range days {
		most = max(most, of(day))
	}
	var b strings.Builder
	for _, day := range days {
		n := of(day)
		switch {
		case day.Reports == 0:
			b.WriteRune('·')
		case n == 0:
			b.WriteRune(' ')
		default:
			b.WriteRune(bars[(n*len(bars)-1)/most])
		}
	}
	return b.String(), most
}

func passedOf(day tally.Day) int { return day.Passed }
func failedOf(day tally.Day) int { return day.Failed }

// counted writes a number with its noun, which has an s for all but one.
func counted(n int, noun string) string {
	return finding.Count(n, noun, noun+"s")
}

// share is a part of a whole in percent, which is 0 and 100 only for none and all.
func share(part, whole int) string {
	if whole == 0 || part == 0 {
		return "0 %"
	}
	switch percent := 100 * float64(part) / float64(whole); {
	case part == whole:
		return "100 %"
	case percent < 0.1:
		return "under 0.1 %"
	case percent > 99.9:
		return "over 99.9 %"
	default:
		return fmt.Sprintf("%.1f %%", percent)
	}
}
