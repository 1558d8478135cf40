package system

import (
	"cmp"
	"fmt"
	"testing"
	"time"
)

// BenchmarkPostfix measures how many messages per second a real Postfix takes
// over SMTP, with and without signpostd, and the daemon's memory. Try
//
//	go test -run '^$' -bench Postfix -benchtime 3000x ./test/system
//
// The queue is in memory and nothing is delivered, so that Postfix and the
// milter are all there is to wait for.
func BenchmarkPostfix(b *testing.B) {
	for _, sessions := range []int{1, 10} {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			for _, socket := range []string{"none", "unix", "inet"} {
				name := fmt.Sprintf("sessions=%d/bytes=%d/milter=%s", sessions, size, socket)
				b.Run(name, func(b *testing.B) { benchmarkPostfix(b, sessions, size, socket) })
			}
		}
	}
}

func benchmarkPostfix(b *testing.B, sessions, size int, socket string) {
	w := newWorld(b)
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	milter := map[string]string{"none": "", "unix": "unix:" + w.dir + "/run/milter.sock", "inet": w.milterAddr()}[socket]
	w.makeRunDir()
	d := w.startDaemon("--listen=" + cmp.Or(milter, w.milterAddr()))
	idle := d.memoryKB("VmRSS")
	p := w.startPostfix(milter, "default_transport = discard", "in_flow_delay = 0")
	b.SetBytes(int64(size))
	b.ResetTimer()
	start := time.Now()
	w.run("smtp-source", "-m", fmt.Sprint(b.N), "-s", fmt.Sprint(sessions), "-l", fmt.Sprint(size),
		"-f", "a@example.org", "-t", "reader@rcpt.test", p.addr)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "messages/s")
	if milter == "" {
		return
	}
	b.ReportMetric(float64(idle)/1024, "MiB-idle")
	b.ReportMetric(float64(d.memoryKB("VmHWM"))/1024, "MiB-peak")
	if n := len(d.logged("DKIM-Signature field added")); n < b.N {
		b.Errorf("%d of %d messages signed", n, b.N)
	}
}
