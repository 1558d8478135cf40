package report

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// manyRows returns a report with that many rows, each of another source, as large providers
// write them.
func manyRows(n int) []byte {
	head, record, _ := strings.Cut(plainReport, "<record>")
	record, _, _ = strings.Cut(record, "</feedback>")
	record = "  <record>\n" + strings.ReplaceAll(record, "><", ">\n      <")
	before, after, _ := strings.Cut(record, "192.0.2.10")
	var b bytes.Buffer
	b.WriteString(head)
	for i := range n {
		fmt.Fprintf(&b, "%s10.%d.%d.%d%s", before, i>>16&255, i>>8&255, i&255, after)
	}
	b.WriteString("</feedback>")
	return b.Bytes()
}

// BenchmarkParse parses 100,000 rows, and tells what of memory they keep.
func BenchmarkParse(b *testing.B) {
	text := manyRows(100_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var r *Report
	for b.Loop() {
		var err error
		if r, err = Parse(bytes.NewReader(text)); err != nil || len(r.Rows) != 100_000 {
			b.Fatal(len(r.Rows), err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/1e6, "MB-kept")
	runtime.KeepAlive(text)
	runtime.KeepAlive(r)
}
