package tally

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"signpost/keystore/report"
)

// Sighting is when the key of a selector was last seen.
type Sighting struct {
	First    time.Time  `json:"first,omitzero"` // days on which a signature passed
	Last     time.Time  `json:"last,omitzero"`
	Passed   int        `json:"passed"` // messages, by the raw result
	Failed   int        `json:"failed"`
	Reporter string     `json:"last_reporter,omitempty"`
	Source   netip.Addr `json:"last_source,omitzero"` // with most messages on the last day
	// Since are messages that passed with another selector of the same domain (d=), of days after
	// Last and after the day that was asked for, and of reports that begin after the last one
	// that saw this key: on how many days, by how many reporters, how many. Signatures without
	// a selector prove nothing and are not counted.
	SinceDays      int `json:"since_days"`
	SinceReporters int `json:"since_reporters"`
	SinceMessages  int `json:"since_messages"`
}

// quietDays is how many days must have been told of before a key counts as unused, where it is
// not known when it stopped: Postfix may keep mail for five.
const quietDays = 5

// Unused reports whether the reports prove that the key is not in use any more: since it was
// last seen, or ever if it never was, enough other mail of the domain was told of. It says
// nothing of mail that is still in a queue.
func (s Sighting) Unused(least Thresholds) bool {
	if least == (Thresholds{}) {
		least = DefaultThresholds()
	}
	return s.SinceDays >= quietDays && s.SinceReporters >= max(1, least.Reporters) &&
		s.SinceMessages >= max(1, least.Messages)
}

// sighting is a Sighting at work.
type sighting struct {
	Sighting
	end   time.Time // of the last report that saw the key
	onDay counts[sight]
}

type sight struct {
	source   uint32
	reporter string
}

// signed is what a report tells of keys of a domain with names that passed.
type signed struct {
	*batch
	messages int
}

// sightings are what all reports say of the keys of a domain (d=).
type sightings struct {
	t      *Tally
	of     map[uint32]*sighting // by selector
	signed []signed
	named  int // messages of these

	mu   sync.Mutex
	done map[uint32]Sighting // complete ones, by selector
}

// moment is of what sightings are: a domain, and the hour that is now.
type moment struct {
	domain uint32
	now    time.Time
}

// fewReports are read anew for each question, mostSeen bounds what is remembered of others. The
// key of a domain can sign for very many below it, and each answer on one of them asks for it.
const (
	fewReports = 50
	mostSeen   = 100
)

// sightings reads all reports that name a domain in a signature, whatever domain they are on.
// Reports of days to come are left out; a zero now leaves out none.
func (t *Tally) sightings(domain uint32, now time.Time) *sightings {
	if len(t.signed[domain]) <= fewReports {
		return t.look(domain, now)
	}
	m := moment{domain, now.Truncate(time.Hour)}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.seen[m]
	if all == nil {
		if t.seen == nil || len(t.seen) >= mostSeen {
			t.seen = make(map[moment]*sightings)
		}
		all = t.look(domain, m.now)
		t.seen[m] = all
	}
	return all
}

func (t *Tally) look(domain uint32, now time.Time) *sightings {
	all := &sightings{t: t, of: make(map[uint32]*sighting)}
	for _, b := range t.signed[domain] {
		if !now.IsZero() && b.begin.After(now.Add(skew)) {
			continue
		}
		messages := 0
		for i := range b.cells {
			if all.add(domain, b, &b.cells[i]) {
				messages += b.cells[i].count
			}
		}
		if messages > 0 && b.proof != report.Refuted {
			all.signed = append(all.signed, signed{b, messages})
			all.named += messages
		}
	}
	return all
}

// add reports whether a key with a name passed.
func (all *sightings) add(domain uint32, b *batch, c *cell) (named bool) {
	for i, sig := range all.t.results[c.auth].signatures {
		if sig.domain != domain {
			continue
		}
		s := all.of[sig.selector]
		if s == nil {
			s = &sighting{}
			all.of[sig.selector] = s
		}
		again := slices.ContainsFunc(all.t.results[c.auth].signatures[:i], func(o signature) bool {
			return o.key == sig.key && o.passed == sig.passed
		})
		switch {
		case again:
		case sig.passed:
			s.saw(b, c)
			named = named || sig.selector != 0
		default:
			s.Failed += c.count
		}
	}
	return named
}

func (s *sighting) saw(b *batch, c *cell) {
	s.Passed += c.count
	if s.First.IsZero() || b.day.Before(s.First) {
		s.First = b.day
	}
	if b.day.After(s.Last) {
		s.Last, s.onDay = b.day, counts[sight]{}
	}
	if b.day.Equal(s.Last) {
		s.onDay.add(sight{c.source, b.reporter}, c.count)
	}
	if b.end.After(s.end) {
		s.end = b.end
	}
}

// nameless reports whether most of the mail that passed came without the name of a selector, so
// that a key which is not named may well be in use.
func (all *sightings) nameless() bool {
	s := all.of[0]
	return s != nil && s.Passed > 0 && s.Passed >= all.named
}

// ever is sighting without a time.
func (all *sightings) ever(selector uint32) Sighting {
	all.mu.Lock()
	defer all.mu.Unlock()
	done, is := all.done[selector]
	if !is {
		if all.done == nil {
			all.done = make(map[uint32]Sighting)
		}
		done = all.sighting(selector, time.Time{})
		all.done[selector] = done
	}
	return done
}

// sighting completes what is known of a selector.
func (all *sightings) sighting(selector uint32, after time.Time) Sighting {
	s := all.of[selector]
	if s == nil {
		s = &sighting{}
	}
	done := s.Sighting
	if s.onDay.len() > 0 {
		most := s.onDay.most(func(a, b sight) int {
			return cmp.Or(all.t.hosts.values[a.source].Compare(all.t.hosts.values[b.source]),
				strings.Compare(a.reporter, b.reporter))
		})[0]
		done.Source, done.Reporter = all.t.hosts.values[most.source], most.reporter
	}
	if !after.IsZero() {
		after = dayOf(after)
	}
	days, reporters := make(map[time.Time]bool), make(map[string]bool)
	for _, b := range all.signed {
		if b.day.After(s.Last) && b.day.After(after) && !b.begin.Before(s.end) {
			days[b.day] = true
			reporters[strings.ToLower(b.reporter)] = true
			done.SinceMessages += b.messages
		}
	}
	done.SinceDays, done.SinceReporters = len(days), len(reporters)
	return done
}

// Sighting returns when the key of a selector was last seen to sign for a domain (d=), and
// what else was seen since, on later days than that of the time after, when the key stopped;
// that is zero where it is not known. It goes by all reports but those of days to come.
// Without Last the key never was seen.
func (t *Tally) Sighting(domain, selector string, after, now time.Time) Sighting {
	d, known := t.words.numbers[strings.ToLower(strings.TrimSuffix(domain, "."))]
	if !known {
		return Sighting{}
	}
	all := t.sightings(d, now)
	s, known := t.words.numbers[strings.ToLower(selector)]
	if !known {
		s = ^uint32(0) // was never seen
	}
	return all.sighting(s, after)
}
