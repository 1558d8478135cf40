package status

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"signpost/milter"
	"signpost/milter/status/view"
)

// What is counted goes back an hour by the minute, and a day by ten minutes. The step
// that runs is one of them.
const (
	minutes = 60
	steps   = 24 * 6
	step    = 10 * 60 // seconds
)

// window counts messages of the last hour and day, and keeps the last of them. Times
// are those of a steady clock, in seconds. Whoever uses it holds the lock of its series.
type window struct {
	hour       [minutes]uint32
	day        [steps]uint32
	minute, at int64 // the last ones in hour and day
	last       last
}

// last is an Example before it is put into words, which most never are.
type last struct {
	time   time.Time
	queue  string
	author string
	client milter.Client
	err    error
}

func (w *window) add(steady int64, now time.Time, o *milter.Outcome) {
	w.advance(steady)
	w.hour[w.minute%minutes]++
	w.day[w.at%steps]++
	w.last = last{now, clipped(o.QueueID), clipped(o.Author), o.Client, o.Err}
	if o.Reason != milter.Signed {
		w.last.author = strings.Clone(w.last.author) // it may be a part of a long From field
	}
	w.last.client.Login = clipped(o.Client.Login)
}

// advance empties what has passed without a count.
func (w *window) advance(steady int64) {
	advance(w.hour[:], &w.minute, steady/60)
	advance(w.day[:], &w.at, steady/step)
}

func advance(counts []uint32, latest *int64, now int64) {
	for i := max(*latest, now-int64(len(counts))); i < now; {
		i++
		counts[i%int64(len(counts))] = 0
	}
	*latest = max(*latest, now) // of two messages at once, the later may come first
}

func sum(counts []uint32) (sum uint64) {
	for _, n := range counts {
		sum += uint64(n)
	}
	return sum
}

func (w *window) lastHour(steady int64) uint64 {
	w.advance(steady)
	return sum(w.hour[:])
}

func (w *window) lastDay(steady int64) uint64 {
	w.advance(steady)
	return sum(w.day[:])
}

// addDay adds the counts of the last day to those of others, the oldest first.
func (w *window) addDay(day []view.Step, result view.Result, steady int64) {
	w.advance(steady)
	for i := range day {
		*day[i].Of(result) += uint64(w.day[(w.at+1+int64(i))%steps])
	}
}

func (l *last) example() view.Example {
	e := view.Example{Time: l.time, Queue: l.queue, Client: l.client.String(), Author: l.author}
	if l.err != nil {
		e.Error = clipped(l.err.Error())
	}
	return e
}

// clipped cuts a text of a peer, and copies it then, so that it does not keep a long
// one in memory.
func clipped(s string) string {
	const most = 255
	if len(s) <= most {
		return s
	}
	return string([]byte(s[:most]))
}

// addCount adds the count of another window to those of the same reason and result.
func addCount(h view.Counts, c view.Count) view.Counts {
	i := slices.IndexFunc(h, func(have view.Count) bool {
		return have.Reason == c.Reason && have.Result == c.Result
	})
	if i < 0 {
		return append(h, c)
	}
	h[i].Messages += c.Messages
	if c.Last.Time.After(h[i].Last.Time) {
		h[i].Last = c.Last
	}
	return h
}

func sortCounts(h view.Counts) {
	slices.SortFunc(h, func(a, b view.Count) int {
		return cmp.Or(
			cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Result, b.Result))
	})
}
