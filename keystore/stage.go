package keystore

import (
	"slices"
	"time"

	"signpost/keystore/dns"
)

// Stage is where a key is in its life.
type Stage string

// The stages, in the order of a life.
const (
	Pending   Stage = "pending"   // not in the DNS, as far as is known, and not signing
	Published Stage = "published" // in the DNS, not signing, and never seen to
	Active    Stage = "active"    // signing
	Retiring  Stage = "retiring"  // was active: its record must stay for the mail in flight
	Retired   Stage = "retired"   // was active, and no mail is in flight any more
	Broken    Stage = "broken"    // its file is no usable key
)

// Stages returns all stages in the order of a key's life.
func Stages() []Stage { return []Stage{Pending, Published, Active, Retiring, Retired, Broken} }

// Meaning says in words what a stage means.
func (s Stage) Meaning() string {
	switch s {
	case Pending:
		return "waits until its record is in the DNS"
	case Published:
		return "in the DNS, another key signs"
	case Active:
		return "signs"
	case Retiring:
		return "signs no more; its record must stay for mail under way"
	case Retired:
		return "no longer needed; its record can go"
	case Broken:
		return "cannot be used"
	}
	return ""
}

// Overlap is how long a key that signs no more is retiring: mail queues keep a
// message for five days (RFC 5321, section 4.5.4.1).
const Overlap = 7 * 24 * time.Hour

// mark is what is known of a key beyond its file. Times are in seconds since
// 1970, which lasts until 2106; 0 is none.
type mark struct {
	presence dns.Presence // the last clear answer: a latch
	asked    uint32       // when that was
	active   uint32       // since when it signs; 0 when it does not
	stopped  uint32       // when it last stopped
}

// stage returns the stage of a key with this mark, and since when it has it, if
// that is known.
func (m mark) stage(now time.Time) (Stage, time.Time) {
	stopped := moment(m.stopped)
	switch {
	case m.active != 0:
		return Active, moment(m.active)
	case m.stopped != 0 && now.Sub(stopped) < Overlap:
		return Retiring, stopped
	case m.stopped != 0:
		return Retired, stopped.Add(Overlap)
	case m.presence == dns.There:
		return Published, time.Time{}
	}
	return Pending, time.Time{}
}

func moment(seconds uint32) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// Status is a key and what is known of its record.
type Status struct {
	*Key
	Stage    Stage
	Since    time.Time    // of the stage; zero when that is not known
	Presence dns.Presence // the last clear answer of the DNS
	Asked    time.Time    // when that was; zero when there was none
}

// Status returns the usable keys of a domain, the oldest first, with their
// stages.
func (s *Snapshot) Status(name string, now time.Time) []Status {
	known := s.state(name)
	all := make([]Status, len(known.keys))
	for i, key := range known.keys {
		all[i] = Status{Key: key, Stage: Pending}
		if known.marks == nil {
			if slices.Contains(known.signing, key) {
				all[i].Stage = Active
			}
			continue
		}
		m := known.marks[i]
		all[i].Presence, all[i].Asked = m.presence, moment(m.asked)
		all[i].Stage, all[i].Since = m.stage(now)
	}
	return all
}
