package tally

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"signpost/keystore/report"
)

// many makes 100,000 rows: of 30 days and 10 reporters, from 20,000 addresses.
func manyReports() []*report.Report {
	var all []*report.Report
	n := 0
	for day := range 30 {
		for r := range 10 {
			begin := dayOf(now).AddDate(0, 0, -1-day)
			rep := &report.Report{Reporter: fmt.Sprintf("r%d.example", r), ID: fmt.Sprint(day), Begin: begin,
				End: begin.Add(24*time.Hour - 1), Domain: "example.org", Policy: report.Policy{P: "none", Percent: 100}}
			for range 334 {
				n++
				row := own(3)
				row.Source = netip.AddrFrom4([4]byte{198, byte(n % 200), byte(n / 200 % 100), 7})
				if n%3 == 0 {
					row = mail(row.Source.String(), 1, other(fmt.Sprintf("d%d.example", n%5000), "x", "pass"),
						other("example.org", fmt.Sprintf("s%d", n%5000), "fail"))
				}
				rep.Rows = append(rep.Rows, row)
			}
			all = append(all, rep)
		}
	}
	return all
}

func BenchmarkHundredThousandRows(b *testing.B) {
	reports := manyReports()
	b.ReportAllocs()
	for b.Loop() {
		t := New()
		for _, r := range reports {
			t.Add(r)
		}
		var m runtime.MemStats
		a := t.Answer("example.org", ask(nil))
		if a.Messages.Total() == 0 {
			b.Fatal("nothing is counted")
		}
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB")
		runtime.KeepAlive(t)
	}
}
