package status

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"signpost/milter"
	"signpost/milter/status/view"
)

func TestRecorderCounts(t *testing.T) {
	t.Parallel()
	r := recorderOf(sourceOf(someDomains()), 0)
	someMail(r)
	want := `
# HELP signpost_messages_total Messages by result and reason. The domain is that of the key or one that must be signed; "none" stands for all others.
# TYPE signpost_messages_total counter
signpost_messages_total{domain="example.org",reason="signed",result="signed"} 1234
signpost_messages_total{domain="example.org",reason="untrusted-client",result="unsigned"} 17
signpost_messages_total{domain="missing.example",reason="no-key",result="tempfail"} 1
signpost_messages_total{domain="none",reason="no-key",result="unsigned"} 1
`
	if err := testutil.CollectAndCompare(r.messages, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if n := testutil.ToFloat64(r.signatures.WithLabelValues("example.org", "mail", "rsa")); n != 1234 {
		t.Error(n, "signatures")
	}
	hour := r.Hour()
	if hour[0].Reason != milter.Signed || hour[0].Messages != 1234 || hour[0].Last.Client != "10.0.0.7 (anna)" || len(hour) != 4 {
		t.Errorf("%+v", hour)
	}
}

// Whatever senders write into From, there are no more labels than domains.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	r := recorderOf(sourceOf(manyDomains(50)), 10)
	for i := range 5000 {
		r.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.NoKey, Author: fmt.Sprintf("junk%d.example", i)}})
		r.Observe(signed(fmt.Sprintf("d%06d.example", i%50), fmt.Sprintf("s%d", i%50)))
	}
	if n := testutil.CollectAndCount(r.messages); n != 12 { // 10, other, none
		t.Error(n, "series of messages")
	}
	if n := testutil.CollectAndCount(r.signatures); n != 11 {
		t.Error(n, "series of signatures")
	}
	if n := testutil.ToFloat64(r.messages.WithLabelValues("other", "signed", "signed")); n != 4000 {
		t.Error(n, "others")
	}
	if _, apart := r.DomainHour("d000040.example"); apart {
		t.Error("a domain beyond the bound seems to be counted apart")
	}
}

// What a peer sends is kept in small pieces only.
func TestExamplesAreSmall(t *testing.T) {
	t.Parallel()
	r := recorderOf(sourceOf(nil), 0)
	huge := strings.Repeat("x", 1<<20)
	r.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.NoKey, Author: huge}, QueueID: huge, Client: milter.Client{Login: huge}})
	last := r.Hour()[0].Last
	if n := len(last.Author) + len(last.Queue) + len(last.Client); n > 1000 {
		t.Error(n, "bytes kept")
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	var w window
	o := signed("example.org", "mail")
	for _, step := range []struct {
		after time.Duration
		add   int
		sum   uint64
	}{
		{0, 2, 2},
		{59 * time.Minute, 3, 5},
		{60 * time.Minute, 0, 3}, // the first minute has left
		{118 * time.Minute, 1, 4},
		{119 * time.Minute, 0, 1},
		{117 * time.Minute, 1, 2}, // the clock is set back
		{1000 * time.Hour, 0, 0},
	} {
		now := noon.Add(step.after)
		for range step.add {
			w.add(now, o)
		}
		if sum := w.sum(now); sum != step.sum {
			t.Errorf("after %v: %d, want %d", step.after, sum, step.sum)
		}
	}
}

func TestObserveByMany(t *testing.T) {
	t.Parallel()
	r := recorderOf(sourceOf(manyDomains(20)), 10)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				r.Observe(signed(fmt.Sprintf("d%06d.example", i%20), "mail"))
				r.Hour()
			}
		})
	}
	all.Wait()
	if n := r.Hour().Messages(view.Signed); n != 4000 {
		t.Error(n, "messages")
	}
}

func BenchmarkObserve(b *testing.B) {
	r := NewRecorder(0, func(author string) (string, bool) { return author, true })
	o := signed("example.org", "mail")
	b.ReportAllocs()
	for b.Loop() {
		r.Observe(o)
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	r := NewRecorder(0, func(author string) (string, bool) { return author, true })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		o := signed("example.org", "mail")
		for pb.Next() {
			r.Observe(o)
		}
	})
}
