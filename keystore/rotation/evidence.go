package rotation

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
)

// Queue is how long Postfix keeps a message that it cannot deliver
// (maximal_queue_lifetime; RFC 5321, section 4.5.4.1: at least 4-5 days). Until then mail
// that an old key signed may arrive, whatever reports say.
const Queue = 5 * 24 * time.Hour

// Evidence is what receivers report of keys that no longer sign. The zero value is that
// there are no reports.
type Evidence struct {
	// Seen returns when a key was last seen to sign, and how much was reported of the days
	// after that and after the day on which it stopped.
	Seen func(domain, selector string, stopped time.Time) tally.Sighting
	// Reporters and Messages are how many must tell of days without the key to prove that
	// nobody signs with it. One is the least.
	Reporters, Messages int
}

// quietDays is of how many days that must be told: reports of one day do not all come at
// the same time, and that which names the key may come last.
const quietDays = 2

// Testimony is what reports say of a key that no longer signs.
type Testimony struct {
	tally.Sighting
	// Text is that in a sentence without a full stop, for a terminal too; "" where no reports
	// are read.
	Text string `json:"text"`
	// Prolongs says that the key was seen after it stopped, so that its record must stay for
	// longer.
	Prolongs bool `json:"prolongs"`
}

// Weigh returns the status of a key with what reports say of it. They may end the time
// that its record must stay once no mail can be in transit, and they prolong it:
//
//   - A key that was not seen after it stopped, or only while queues may have had mail of
//     it, is done with as soon as enough is reported of later days, though not within
//     Queue. Until then the overlap holds, which begins anew with the day it was last seen.
//   - A key that was seen later is in use: some host signs with it. It takes both, the
//     overlap from then on and that enough is reported of it, for that host may not send
//     every day.
//
// Without reports nothing changes.
func (e Evidence) Weigh(s Status, overlap time.Duration, now time.Time) Status {
	if e.Seen == nil || s.Next != Keep && s.Next != Finish {
		return s
	}
	stopped := s.Since.Add(-overlap)
	if s.Next == Keep {
		stopped = s.Until.Add(-overlap)
	}
	seen := e.Seen(s.Domain, s.Selector, stopped)
	w := weighing{sighting: seen, selector: s.Selector, stopped: stopped, overlap: overlap, now: now}
	w.proven = seen.SinceDays >= quietDays &&
		seen.SinceReporters >= max(e.Reporters, 1) && seen.SinceMessages >= max(e.Messages, 1)
	until, known := w.until()
	over := known && !now.Before(until)
	s.Reports = Testimony{Sighting: seen, Text: w.text(until, known), Prolongs: !over && w.after() &&
		(!known || until.After(stopped.Add(overlap)))}
	switch {
	case over:
		if s.Next == Keep { // when the proof came is not known
			s.Stage, s.Since = Retired, time.Time{}
		}
		s.Next, s.Until = Finish, time.Time{}
	case s.Next == Finish:
		s.Stage, s.Since, s.Next, s.Until = Retiring, stopped, Keep, until
	default:
		s.Until = until
	}
	return s
}

// weighing is what Weigh goes by.
type weighing struct {
	sighting tally.Sighting
	selector string
	stopped  time.Time
	overlap  time.Duration
	now      time.Time
	proven   bool // that nobody signs with the key, after it was last seen
}

const day = 24 * time.Hour

// after reports whether the key was seen on a day after that on which it stopped: of the
// day itself nobody knows which came first.
func (w weighing) after() bool {
	return w.sighting.Last.After(w.stopped.UTC().Truncate(day))
}

// used reports whether it was seen when no queue had mail of it any more. A report is of a
// day, which may have begun before.
func (w weighing) used() bool {
	return w.sighting.Last.After(w.stopped.Add(Queue))
}

// until returns until when the record must stay; false where that is not known, for it
// takes reports.
func (w weighing) until() (time.Time, bool) {
	usual := w.stopped.Add(w.overlap)
	if w.after() {
		if last := w.sighting.Last.Add(day + w.overlap); last.After(usual) {
			usual = last
		}
	}
	switch early := w.stopped.Add(Queue); {
	case w.used() && !w.proven:
		return time.Time{}, false
	case !w.used() && w.proven && early.Before(usual):
		return early, true
	}
	return usual, true
}

// text says it in a sentence.
func (w weighing) text(until time.Time, known bool) string {
	s := w.sighting
	var head, since string
	switch {
	case s.Last.IsZero():
		head, since = "no report names "+w.selector, "since it stopped on "+w.date(w.stopped)
	case w.used() && !w.proven:
		head = w.selector + " is still used by " + source(s) + ", seen on " + w.date(s.Last) + " by " + reporter(s)
		since = "since then"
	case w.after():
		head = w.selector + " was still used after it stopped by " + source(s) + ", seen on " + w.date(s.Last) +
			" by " + reporter(s)
		since = "since then"
	default:
		head = w.selector + " was last seen on " + w.date(s.Last) + " by " + reporter(s) + " from " + source(s)
		since = "since it stopped on " + w.date(w.stopped)
	}
	told := "no report tells of a day " + since
	if s.SinceReporters > 0 {
		told = fmt.Sprintf("%s %s told of %s", since,
			finding.Count(s.SinceReporters, "reporter", "reporters"), finding.Count(s.SinceMessages, "message", "messages"))
	}
	switch over := known && !w.now.Before(until); {
	case over && w.proven:
		told += ": finish is safe"
	case over:
		told += ", and the overlap is over"
	case w.proven:
		told += ": finish is safe from " + until.UTC().Format(time.DateTime) + " on"
	case s.SinceReporters > 0:
		told += ", which is too little"
	}
	return head + "; " + told
}

// date is a day as people say it, with the year where it is another.
func (w weighing) date(t time.Time) string {
	if t = t.UTC(); t.Year() != w.now.UTC().Year() {
		return t.Format("2 January 2006")
	}
	return t.Format("2 January")
}

func source(s tally.Sighting) string {
	if !s.Source.IsValid() {
		return "an unknown address"
	}
	return s.Source.String()
}

// reporter is the name of the reporter, which anybody can send us: nothing in it may steer
// a terminal or fill it.
func reporter(s tally.Sighting) string {
	const most = 60
	name := []rune(strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, s.Reporter))
	if len(name) > most {
		return string(name[:most]) + "…"
	}
	return string(name)
}
