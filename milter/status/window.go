package status

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"signpost/milter"
	"signpost/milter/status/view"
)

// minutes of a window: an hour, the minute that runs included.
const minutes = 60

// window counts messages by the minute and keeps the last of them. Whoever
// uses it holds the lock of its series.
type window struct {
	counts [minutes]uint32
	latest int64 // the minute of the last count, in minutes since 1970
	last   last
}

// last is an Example before it is put into words, which most never are.
type last struct {
	time   time.Time
	queue  string
	author string
	client milter.Client
	err    error
}

func (w *window) add(now time.Time, o *milter.Outcome) {
	w.advance(now)
	w.counts[w.latest%minutes]++
	w.last = last{now, clipped(o.QueueID), clipped(o.Author), o.Client, o.Err}
	if o.Reason != milter.Signed {
		w.last.author = strings.Clone(w.last.author) // it may be a part of a long From field
	}
	w.last.client.Login = clipped(o.Client.Login)
}

// advance empties the minutes that have passed without a count. A clock that
// was set back goes on in the minute it had.
func (w *window) advance(now time.Time) {
	minute := now.Unix() / 60
	for m := max(w.latest, minute-minutes); m < minute; {
		m++
		w.counts[m%minutes] = 0
	}
	w.latest = max(w.latest, minute)
}

func (w *window) sum(now time.Time) (sum uint64) {
	w.advance(now)
	for _, n := range w.counts {
		sum += uint64(n)
	}
	return sum
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
func addCount(h view.Hour, c view.Count) view.Hour {
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

func sortHour(h view.Hour) {
	slices.SortFunc(h, func(a, b view.Count) int {
		return cmp.Or(
			cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Result, b.Result))
	})
}
