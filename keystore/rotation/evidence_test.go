package rotation

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/report/tally"
)

// The key stopped on 18 November at ten. Reports may have its record go after five days, or
// keep it for longer than seven.
func TestEvidence(t *testing.T) {
	t.Parallel()
	stopped := time.Date(2026, 11, 18, 10, 0, 0, 0, time.UTC)
	date := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	hour := func(d, h int) time.Time { return date(d).Add(time.Duration(h) * time.Hour) }
	seen := func(last int, days, reporters, messages int) tally.Sighting {
		s := tally.Sighting{SinceDays: days, SinceReporters: reporters, SinceMessages: messages}
		if last > 0 {
			s.Last, s.Reporter, s.Source = date(last), "yahoo", netip.MustParseAddr("198.51.100.7")
		}
		return s
	}
	const (
		usual = "2026-11-25 10:00"
		early = "2026-11-23 10:00"
	)
	for name, test := range map[string]struct {
		now   time.Time
		seen  tally.Sighting
		next  Next
		until string
		text  string
	}{
		"no reports":                   {hour(24, 10), seen(0, 0, 0, 0), Keep, usual, "no report names s1; no report tells of a day since it stopped on 18 November"},
		"no reports, and over":         {hour(25, 10), seen(0, 0, 0, 0), Finish, "", "and the overlap is over"},
		"proven too early":             {hour(22, 10), seen(12, 3, 3, 4120), Keep, early, "s1 was last seen on 12 November by yahoo from 198.51.100.7; since it stopped on 18 November 3 reporters told of 4,120 messages: finish is safe from 2026-11-23 10:00:00 on"},
		"proven, and queues are empty": {hour(23, 10), seen(12, 3, 3, 4120), Finish, "", "3 reporters told of 4,120 messages: finish is safe"},
		"proven, never seen":           {hour(23, 10), seen(0, 4, 3, 100), Finish, "", "no report names s1; since it stopped on 18 November 3 reporters told of 100 messages: finish is safe"},
		"too few reporters":            {hour(24, 10), seen(12, 4, 2, 4120), Keep, usual, "2 reporters told of 4,120 messages, which is too little"},
		"too few messages":             {hour(24, 10), seen(12, 4, 3, 99), Keep, usual, "which is too little"},
		"of one day alone":             {hour(24, 10), seen(12, 1, 3, 4120), Keep, usual, "which is too little"},
		"too few, and over":            {hour(25, 10), seen(12, 1, 1, 1), Finish, "", "1 reporter told of 1 message, and the overlap is over"},
		"seen on its last day":         {hour(23, 10), seen(18, 4, 3, 4120), Finish, "", "was last seen on 18 November"},

		// Within five days it may be mail of a queue.
		"from a queue, then quiet":     {hour(23, 10), seen(20, 2, 3, 4120), Finish, "", "s1 was still used after it stopped by 198.51.100.7, seen on 20 November by yahoo; since then 3 reporters told of 4,120 messages: finish is safe"},
		"from a queue, then silence":   {hour(26, 10), seen(20, 0, 0, 0), Keep, "2026-11-28 00:00", "seen on 20 November by yahoo; no report tells of a day since then"},
		"the overlap began anew":       {hour(28, 0), seen(20, 0, 0, 0), Finish, "", "and the overlap is over"},
		"on the day that queues end":   {hour(26, 10), seen(23, 2, 3, 4120), Finish, "", "finish is safe"},
		"the same, and nothing proven": {hour(26, 10), seen(23, 2, 2, 4120), Keep, "2026-12-01 00:00", "which is too little"},

		// Later it is a host that signs with the key.
		"in use":                 {hour(26, 10), seen(24, 1, 3, 4120), Keep, "", "s1 is still used by 198.51.100.7, seen on 24 November by yahoo; since then 3 reporters told of 4,120 messages, which is too little"},
		"in use before the time": {hour(24, 23), seen(24, 0, 0, 0), Keep, "", "s1 is still used by 198.51.100.7"},
		"in use, and quiet":      {hour(29, 10), seen(24, 4, 3, 4120), Keep, "2026-12-02 00:00", "finish is safe from 2026-12-02 00:00:00 on"},
		"and for long":           {hour(32, 0), seen(24, 7, 3, 4120), Finish, "", "finish is safe"},
		"and nobody reports":     {hour(60, 0), seen(24, 0, 0, 0), Keep, "", "s1 is still used by"},
		"reports of the future":  {hour(26, 10), seen(400, 0, 0, 0), Keep, "", "seen on 5 December 2027"},
	} {
		now := test.now
		s := Status{Key: &keystore.Key{Domain: "example.org", Selector: "s1"}}
		if s.Until = stopped.Add(Overlap); now.Before(s.Until) {
			s.Stage, s.Since, s.Next = Retiring, stopped, Keep
		} else {
			s.Stage, s.Since, s.Next, s.Until = Retired, s.Until, Finish, time.Time{}
		}
		before := s
		if got := (Evidence{}).Weigh(s, Overlap, now); got != before {
			t.Errorf("%s: without reports %+v becomes %+v", name, before, got)
		}
		asked := time.Time{}
		e := Evidence{Reporters: 3, Messages: 100, Seen: func(domain, selector string, at time.Time) tally.Sighting {
			if asked = at; domain != "example.org" || selector != "s1" {
				t.Errorf("%s: asked for %s of %s", name, selector, domain)
			}
			return test.seen
		}}
		got := e.Weigh(s, Overlap, now)
		until := ""
		if !got.Until.IsZero() {
			until = got.Until.UTC().Format("2006-01-02 15:04")
		}
		if !asked.Equal(stopped) || got.Next != test.next || until != test.until {
			t.Errorf("%s: %s until %q, want %s until %q; asked since %v", name, got.Next, until, test.next, test.until, asked)
		}
		stage := map[Next]Stage{Keep: Retiring, Finish: Retired}[test.next]
		if got.Stage != stage || !strings.Contains(got.Reports.Text, test.text) {
			t.Errorf("%s: %s, %q, want %s, %q", name, got.Stage, got.Reports.Text, stage, test.text)
		}
		prolonged := test.next == Keep && test.until != usual && test.until != early
		if got.Reports.Prolongs != prolonged {
			t.Errorf("%s: prolongs %v", name, got.Reports.Prolongs)
		}
		for _, signs := range []Status{{Stage: Active}, {Stage: Pending, Next: Publish}, {Stage: Published}} {
			if signs.Key = s.Key; e.Weigh(signs, Overlap, now) != signs {
				t.Errorf("%s: a key that is %s is weighed", name, signs.Stage)
			}
		}
	}
}

// Who asks for less than five days gets it, unless the key is in use; and one reporter is
// the least that proves anything.
func TestEvidenceOfAShortOverlap(t *testing.T) {
	t.Parallel()
	stopped := time.Date(2026, 11, 18, 10, 0, 0, 0, time.UTC)
	weigh := func(s tally.Sighting, overlap, ago time.Duration) Status {
		status := Status{Key: new(keystore.Key), Stage: Retiring, Next: Keep, Until: stopped.Add(overlap)}
		if ago >= overlap {
			status = Status{Key: new(keystore.Key), Stage: Retired, Next: Finish, Since: stopped.Add(overlap)}
		}
		return Evidence{Seen: func(string, string, time.Time) tally.Sighting { return s }}.Weigh(status, overlap, stopped.Add(ago))
	}
	quiet := tally.Sighting{SinceDays: 2, SinceReporters: 1, SinceMessages: 1}
	if got := weigh(quiet, 2*day, day); got.Next != Keep || !got.Until.Equal(stopped.Add(2*day)) {
		t.Errorf("quiet: %s until %v", got.Next, got.Until)
	}
	if got := weigh(quiet, 2*day, 2*day); got.Next != Finish {
		t.Error("quiet, and over:", got.Next)
	}
	if got := weigh(tally.Sighting{SinceDays: 2}, Overlap, 6*day); got.Next != Keep {
		t.Error("nobody reports:", got.Next)
	}
	if got := weigh(tally.Sighting{Last: stopped.Truncate(day).Add(6 * day)}, 2*day, 8*day); got.Next != Keep || !got.Until.IsZero() {
		t.Errorf("in use: %s until %v", got.Next, got.Until)
	}
}
