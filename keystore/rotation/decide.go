package rotation

import (
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
)

// Mode says what the answers of the DNS are for.
type Mode string

// The modes.
const (
	Off  Mode = "off"  // the DNS is not asked: the newest key signs
	Warn Mode = "warn" // the newest key signs, and what the DNS lacks is logged
	On   Mode = "on"   // the newest key that is published signs; so it is with the zero value
)

func (m Mode) decides() bool { return m != Off && m != Warn }

// Status is a key, what Decide says of it, and what that rests on.
type Status struct {
	*keystore.Key
	Signs bool
	Stage Stage
	Since time.Time // when it came to the stage; zero when that is not known
	Next  Next
	Until time.Time // with Keep: until when; zero where that is not known
	Mark  Mark
	// Reports is what receivers report of it, where that was asked for: Evidence.Weigh.
	Reports Testimony
}

// Testimony returns what receivers report of the key; nil where no reports are read.
func (s Status) Testimony() *Testimony {
	if s.Reports.Text == "" {
		return nil
	}
	return &s.Reports
}

// Next is what somebody has to do about a key.
type Next string

// What to do next.
const (
	Nothing Next = ""
	Publish Next = "publish" // its record: it waits for that, or signs without
	Keep    Next = "keep"    // its record, for mail in transit
	Finish  Next = "finish"  // take its record out of the DNS and archive the file
)

// Decide says which keys of one domain sign, what stage each is in, and what to do
// next. The keys come with the oldest first, and known has what is known of each; it
// may be nil. It is the only code that says so.
//
// With On the newest key whose record is in the DNS signs, of each algorithm. Where
// there is none, what signed before goes on, and where nothing did, the oldest key
// signs: a new one never takes over unproven, and a DNS that does not answer is
// never a reason to stop. Otherwise the newest key of each algorithm signs.
func Decide(keys []*keystore.Key, known []Mark, mode Mode, now time.Time) []Status {
	return DecideWith(keys, known, mode, Overlap, now)
}

// DecideWith is Decide for another time that a record stays after its key stopped.
func DecideWith(keys []*keystore.Key, known []Mark, mode Mode, overlap time.Duration, now time.Time) []Status {
	if known == nil {
		known = make([]Mark, len(keys))
	}
	marks := slices.Clone(known)
	signing := settle(keys, marks, mode, now)
	all := make([]Status, len(keys))
	for i, key := range keys {
		s := Status{Key: key, Signs: slices.Contains(signing, key), Mark: known[i]}
		s.Stage, s.Since = marks[i].stage(s.Signs, overlap, now)
		if key.Shared && len(signing) == 0 {
			s.Stage, s.Since = Pending, time.Time{} // again, if it was another
		}
		switch {
		case s.Signs:
			s.Since = known[i].Active.Time()
		case known[i].Stopped == None && known[i].Active == None && s.Stage == Retiring:
			s.Since = time.Time{} // it was not seen to stop
		}
		switch {
		case s.Stage == Active && s.Mark.Presence == dns.Missing,
			s.Stage == Pending && (mode.decides() || key.Shared) && !superseded(keys, known, signing, i):
			s.Next = Publish
		case s.Stage == Retiring:
			s.Next, s.Until = Keep, marks[i].Stopped.Time().Add(overlap)
		case s.Stage == Retired:
			s.Next = Finish
		}
		all[i] = s
	}
	return all
}

// settle decides who signs, and marks since when and until when each key does. A key
// that is published, and older than one that is and signs, may have signed before
// anybody looked: it counts as one that has just stopped.
func settle(keys []*keystore.Key, marks []Mark, mode Mode, now time.Time) (signing []*keystore.Key) {
	signing = choose(keys, marks, mode)
	provisional := mode.decides() && nothingKnown(marks)
	for i, key := range keys {
		m := &marks[i]
		switch signs := slices.Contains(signing, key); {
		case signs && m.Active == None && !provisional:
			m.Active = At(now)
		case !signs && m.Active != None:
			m.Active, m.Stopped = None, At(now)
		case !signs && m.Stopped == None && m.Presence == dns.There && superseded(keys, marks, signing, i):
			m.Stopped = At(now)
		}
	}
	return signing
}

// nothingKnown reports whether the oldest key signs for want of any knowledge. Until
// a message is signed with it, it counts as one that never signed.
func nothingKnown(marks []Mark) bool {
	return !slices.ContainsFunc(marks, func(m Mark) bool { return m.Presence != dns.Unknown || m.Active != None })
}

// superseded reports whether a newer key of the same algorithm signs and is published.
func superseded(keys []*keystore.Key, marks []Mark, signing []*keystore.Key, i int) bool {
	for j := i + 1; j < len(keys); j++ {
		if keys[j].Algorithm == keys[i].Algorithm && marks[j].Presence == dns.There && slices.Contains(signing, keys[j]) {
			return true
		}
	}
	return false
}

// stage returns the stage of a key that signs or does not, and since when it has it
// where that is known. The mark is settled.
func (m Mark) stage(signs bool, overlap time.Duration, now time.Time) (Stage, time.Time) {
	switch stopped := m.Stopped.Time(); {
	case signs:
		return Active, m.Active.Time()
	case m.Stopped != None && now.Sub(stopped) < overlap:
		return Retiring, stopped
	case m.Stopped != None:
		return Retired, stopped.Add(overlap)
	case m.Presence == dns.There:
		return Published, time.Time{}
	}
	return Pending, time.Time{}
}

// Certain reports whether Decide says who signs whatever the DNS answers: then
// nobody has to ask it.
func Certain(keys []*keystore.Key, mode Mode) bool {
	return !isShared(keys) && (!mode.decides() || len(keys) < 2)
}

// Signing returns the keys that sign, RSA first.
func Signing(all []Status) (keys []*keystore.Key) {
	for _, algorithm := range algorithms {
		for _, s := range all {
			if s.Signs && s.Algorithm == algorithm {
				keys = append(keys, s.Key)
			}
		}
	}
	return keys
}

var algorithms = [...]keystore.Algorithm{keystore.RSA, keystore.Ed25519}

// choose returns the keys that sign, RSA first. The keys come with the oldest first.
func choose(keys []*keystore.Key, known []Mark, mode Mode) []*keystore.Key {
	if isShared(keys) {
		return newest(proven(keys, known))
	}
	if !mode.decides() {
		return newest(keys)
	}
	those := func(want func(Mark) bool) (picked []*keystore.Key) {
		for i, m := range known {
			if want(m) {
				picked = append(picked, keys[i])
			}
		}
		return picked
	}
	if there := proven(keys, known); len(there) > 0 {
		return newest(there)
	}
	if before := those(func(m Mark) bool { return m.Active != None }); len(before) > 0 {
		return newest(before)
	}
	for _, algorithm := range algorithms {
		for i, key := range keys {
			if key.Algorithm == algorithm {
				return keys[i : i+1 : i+1]
			}
		}
	}
	return nil
}

// newest picks from one domain's keys, ordered by age, the newest of each
// algorithm, RSA first. A verifier that does not know Ed25519 needs the RSA
// signature, so Ed25519 is only ever a second one (RFC 8463, section 5), unless
// there is no RSA key at all.
func newest(keys []*keystore.Key) []*keystore.Key {
	if len(keys) == 1 {
		return keys[:1:1]
	}
	var chosen []*keystore.Key
	for _, algorithm := range algorithms {
		for _, key := range slices.Backward(keys) {
			if key.Algorithm == algorithm {
				chosen = append(chosen, key)
				break
			}
		}
	}
	return chosen
}
