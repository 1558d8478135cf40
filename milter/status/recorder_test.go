package status

import (
	"fmt"
	"maps"
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
	r.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.FromMultiple, Action: milter.Reject, Author: "example.org"}})
	want := `
# HELP signpost_messages_total Messages by result and reason. The domain is that of the key or one that must be signed; "none" stands for all others.
# TYPE signpost_messages_total counter
signpost_messages_total{domain="example.org",reason="from-multiple",result="rejected"} 1
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
	if hour[0].Reason != milter.Signed || hour[0].Messages != 1234 || hour[0].Last.Client != "10.0.0.7 (anna)" || len(hour) != 5 {
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
	if _, _, apart := r.OfDomain("d000040.example"); apart {
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
		after     time.Duration
		add       int
		hour, day uint64
	}{
		{0, 2, 2, 2},
		{59 * time.Minute, 3, 5, 5},
		{60 * time.Minute, 0, 3, 5}, // the first minute has left
		{118 * time.Minute, 1, 4, 6},
		{119 * time.Minute, 0, 1, 6},
		{117 * time.Minute, 1, 2, 7}, // a message that was counted late
		{24*time.Hour - time.Minute, 0, 0, 7},
		{24 * time.Hour, 0, 0, 5}, // the first ten minutes have left
		{1000 * time.Hour, 0, 0, 0},
		{1000 * time.Hour, 1, 1, 1},
	} {
		now := noon.Add(step.after)
		for range step.add {
			w.add(now.Unix(), now, o)
		}
		if hour, day := w.lastHour(now.Unix()), w.lastDay(now.Unix()); hour != step.hour || day != step.day {
			t.Errorf("after %v: %d and %d, want %d and %d", step.after, hour, day, step.hour, step.day)
		}
	}
}

// What was counted stays where it was, and leaves after a day, whatever is done to the
// clock, and however long the machine sleeps. The times that are shown are those of the
// clock as it stands.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	r := recorderOf(sourceOf(someDomains()), 0)
	wall, steady := noon, noon.Unix()
	r.now = func() time.Time { return wall }
	r.steady = func(time.Time) int64 { return steady }
	r.began = steady
	later := func(passes, jumps time.Duration) {
		wall = wall.Add(passes + jumps)
		steady += int64(passes / time.Second)
	}
	check := func(what string, want map[string]uint64) {
		t.Helper()
		got := make(map[string]uint64)
		steps := r.Steps("").Steps
		for i, s := range steps {
			if s.Messages() > 0 {
				got[s.Time.Format("2 15:04")] = s.Signed
			}
			if i > 0 && s.Time.Sub(steps[i-1].Time) != step*time.Second {
				t.Errorf("%s: %v follows %v", what, s.Time, steps[i-1].Time)
			}
		}
		if last := steps[len(steps)-1].Time; wall.Before(last) || !wall.Before(last.Add(step*time.Second)) {
			t.Errorf("%s: the last step begins at %v, and it is %v", what, last, wall)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	mail := func() { r.Observe(signed("example.org", "mail")) }
	mail()
	check("at noon", map[string]uint64{"25 12:00": 1})
	later(time.Hour, 365*24*time.Hour) // set to next year
	mail()
	check("next year", map[string]uint64{"25 12:00": 1, "25 13:00": 1})
	later(time.Hour, -365*24*time.Hour)
	mail()
	check("back", map[string]uint64{"25 12:00": 1, "25 13:00": 1, "25 14:00": 1})
	later(0, -3*time.Hour)
	mail()
	check("set back", map[string]uint64{"25 09:00": 1, "25 10:00": 1, "25 11:00": 2})
	if hour, _, _ := r.OfDomain("example.org"); hour.Messages(view.Signed) != 2 {
		t.Error(hour)
	}
	later(8*time.Hour, 0) // asleep
	check("awake", map[string]uint64{"25 09:00": 1, "25 10:00": 1, "25 11:00": 2})
	later(14*time.Hour, 0)
	check("the first has left", map[string]uint64{"25 10:00": 1, "25 11:00": 2})
	later(100*time.Hour, 0)
	check("all have left", map[string]uint64{})
}

// The steady clock passes over a change of the time, and not over a suspend.
func TestSteady(t *testing.T) {
	t.Parallel()
	c := &steady{boot: 100 * time.Hour}
	age := 100 * time.Hour
	asked := 0
	boot := func() time.Duration { asked++; return age }
	for _, at := range []struct{ wall, awake, age, want time.Duration }{
		{1, 1, 1, 1},
		{2, 2, 2, 2},
		{1002, 3, 3, 3},    // set forward
		{-500, 4, 4, 4},    // set back
		{13, 5, 13, 13},    // set right, after a sleep of eight
		{14, 6, 14, 14},    // and on
		{914, 6, 914, 914}, // a long sleep
	} {
		age = 100*time.Hour + at.age*time.Hour
		if got := c.passed(at.wall*time.Hour, at.awake*time.Hour, boot); got != at.want*time.Hour {
			t.Errorf("%+v: %v", at, got)
		}
	}
	if asked != 4 {
		t.Errorf("the system was asked %d times", asked)
	}
	now := time.Now()
	if off := newSteady().at(now) - now.Unix(); off < -1 || off > 1 {
		t.Errorf("it is off by %d s", off)
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
