package main

import (
	"testing"
	"time"
	"unicode/utf8"

	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
)

func someDays(n int) (days []tally.Day) {
	for i := range n {
		days = append(days, tally.Day{Day: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC),
			Count: tally.Count{Passed: 10, Failed: 1}, Reports: 1})
	}
	return days
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	days := someDays(6)
	days[0].Passed, days[1].Passed, days[2].Passed, days[3].Passed = 10000, 1, 0, 5000
	days[4].Reports, days[4].Passed = 0, 0
	if line, most := sparkline(days, passedOf); line != "█▁ ▄·▁" || most != 10000 {
		t.Errorf("%q, %d", line, most)
	}
	if line, most := sparkline(someDays(0), failedOf); line != "" || most != 0 {
		t.Errorf("%q, %d", line, most)
	}
}

// However many days there are, all messages are in the columns, and these fit.
func TestColumns(t *testing.T) {
	t.Parallel()
	const most = 60
	for _, n := range []int{0, 1, 59, 60, 61, 120, 121, 3650} {
		sums, each := columns(someDays(n), most)
		passed := 0
		for _, day := range sums {
			passed += day.Passed
		}
		line, _ := sparkline(sums, passedOf)
		if passed != 10*n || len(sums) > most || utf8.RuneCountInString(line) != len(sums) || each < 1 {
			t.Errorf("%d days: %d messages in %d columns of %d days", n, passed, len(sums), each)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 41203: "41,203", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := finding.Number(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for want, of := range map[string][2]int{"0 %": {0, 9}, "100 %": {9, 9}, "under 0.1 %": {1, 41212}, "over 99.9 %": {41211, 41212}, "13.0 %": {270, 2070}} {
		if got := share(of[0], of[1]); got != want {
			t.Errorf("%v: %s", of, got)
		}
	}
}
