package migrate

import (
	"fmt"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/place"
)

// State is what there is to do about a key.
type State string

// The states of a step.
const (
	New   State = "new"   // it is to be copied
	There State = "there" // it is there, under that name
	Taken State = "taken" // its name is another key's, so it is refused
)

// Step is a key on its way into a place of keys.
type Step struct {
	Key
	To    string // the file or the place that it becomes, or that it is in
	State State
	Why   string    // it is refused
	Time  time.Time // of the file it becomes
}

// Steps compares plans with the place that the keys go to, where there is what it holds
// now; nil when it does not exist. The time of a file decides which key signs, so
// a key that signs keeps the time of its file where that makes it the newest
// of its type, and gets the time now where it does not; the others keep theirs
// or get one before it.
func Steps(plans []*Plan, to place.Place, there *keystore.Snapshot, now time.Time) ([]Step, []finding.Finding) {
	var steps []Step
	family := make(map[string][]int) // steps by domain
	for _, plan := range plans {
		for _, key := range plan.Keys {
			step := newStep(key, to, there)
			for _, i := range family[key.Domain] {
				if steps[i].Selector != key.Selector {
					continue
				}
				if !steps[i].Equal(&key.Key) {
					step.refuse(steps[i].To)
				} else if steps[i].State == New {
					step.State = There
				}
			}
			family[key.Domain] = append(family[key.Domain], len(steps))
			steps = append(steps, step)
		}
	}
	var findings []finding.Finding
	for i := range steps {
		if steps[i].State == Taken {
			findings = append(findings, finding.Finding{
				Level: finding.Fault, Code: "import-taken", Name: steps[i].To,
				What: fmt.Sprintf("%s, selector %q, is not carried over: %s", steps[i].Domain,
					steps[i].Selector, steps[i].Why),
				Effect: "nothing is ever overwritten",
				Fix:    "move that one away, or import into another place with --to",
			})
		} else if steps[i].Signs {
			var others []*Step
			for _, j := range family[steps[i].Domain] {
				if other := &steps[j]; other.Algorithm == steps[i].Algorithm && !other.Signs && other.State == New {
					others = append(others, other)
				}
			}
			findings = append(findings, date(&steps[i], others, there, now)...)
		}
	}
	return steps, findings
}

func newStep(key Key, to place.Place, there *keystore.Snapshot) Step {
	step := Step{Key: key, State: New, Time: key.ModTime}
	var taken bool
	step.To, taken = to.Where(key.Domain, key.Selector)
	for _, have := range keysOf(there, key.Domain) {
		if have.Selector == key.Selector {
			if !have.Equal(&key.Key) {
				step.refuse(have.File)
				return step
			}
			step.State, step.To, step.Time = There, have.File, have.ModTime
			return step
		}
	}
	if taken {
		step.State, step.Why = Taken, "a file of that name exists, and is not a usable key"
	}
	return step
}

// refuse marks a step whose name is taken by a file.
func (s *Step) refuse(file string) {
	s.State, s.To, s.Why = Taken, file, "another key has that name"
}

// date sets the times for a key that signs, and for those of its domain and
// type that must not.
func date(s *Step, others []*Step, there *keystore.Snapshot, now time.Time) []finding.Finding {
	var newest *keystore.Key // of the others in the directory
	for _, have := range keysOf(there, s.Domain) {
		if have.Algorithm == s.Algorithm && have.Selector != s.Selector {
			newest = have // they are in order of age
		}
	}
	latest := time.Time{}
	if newest != nil {
		latest = newest.ModTime
	}
	for _, other := range others {
		if other.ModTime.After(latest) {
			latest = other.ModTime
		}
	}
	if s.State == New && (s.Time.IsZero() || s.Time.After(now) || latest.Unix() >= s.Time.Unix()) {
		s.Time = now
	}
	for _, other := range others {
		if other.Time.Unix() >= s.Time.Unix() {
			other.Time = s.Time.Add(-time.Second)
		}
	}
	switch {
	case newest == nil:
	case newest.ModTime.Unix() >= s.Time.Unix():
		return []finding.Finding{{
			Level: finding.Fault, Code: "import-overtaken", Name: newest.File,
			What: fmt.Sprintf("this %s key of %s is newer than the one carried over, %q, so it signs",
				s.Algorithm, s.Domain, s.Selector),
			Effect: "mail is signed with another key than before",
			Fix:    "make the other file the newer one: touch " + s.To,
		}}
	case s.State == New:
		return []finding.Finding{{
			Level: finding.Note, Code: "import-takes-over", Name: newest.File,
			What: fmt.Sprintf("mail from %s is signed with %q once %q is carried over, no longer with %q",
				s.Domain, s.Selector, s.Selector, newest.Selector),
		}}
	}
	return nil
}

func keysOf(there *keystore.Snapshot, domain string) []*keystore.Key {
	if there == nil {
		return nil
	}
	return there.Keys(domain)
}
