package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"signpost/keystore/dns"
)

// domain is one signing domain of the key directory. What is known of it
// changes; each state of it is immutable.
type domain struct {
	state atomic.Pointer[state]

	// Of the scan under way, or of the last: which one saw units of the domain,
	// and how many. Only the store reads and writes them.
	scan, seen uint32
}

// state is all that is known of one signing domain at one moment.
type state struct {
	unread *[]string // units that nobody has read yet; then there is nothing else

	files    []*file   // those that are there before those that have gone
	keys     []*Key    // usable, ordered by age
	marks    []mark    // of the keys; nil when the DNS is not asked
	signing  []*Key    // of the keys
	problems []Problem // the first says why the domain has no key, where it has none
}

// newState puts together what the files of a domain come to. Two different keys
// under one name cannot both be the one in the DNS, so neither signs, but the
// one that was in force stays. The folder's problem and the previous state may
// be nil.
func (l *loader) newState(files []*file, folder *Problem, previous *state) *state {
	s := &state{files: files}
	if folder != nil {
		s.problems = append(s.problems, *folder)
	}
	// Files that are there come before those that have gone.
	slices.SortFunc(files, func(a, b *file) int {
		return cmp.Or(cmp.Compare(a.gone, b.gone), strings.Compare(a.File, b.File))
	})
	var holders []*file // one for each claim
	var contested []claim
	for _, f := range files {
		if f.gone != 0 {
			if holderOf(holders, f.claim()) < 0 {
				holders = append(holders, f)
			}
			continue
		}
		if f.err != nil {
			s.report(f, f.err, f.Signer != nil)
		}
		if f.Signer == nil {
			continue
		}
		i := holderOf(holders, f.claim())
		switch {
		case i < 0:
			holders = append(holders, f)
		case holders[i].samePublic(&f.Key):
			// The same key twice, say in two layouts, does no harm.
		default:
			contested = append(contested, f.claim())
			if previous.inForce(f) {
				holders[i], f = f, holders[i]
			}
			s.report(f, fmt.Errorf("%s has another key for selector %s of %s; hint: remove one of them",
				holders[i].File, f.Selector, f.Domain), false)
		}
	}
	for _, f := range holders {
		if !slices.Contains(contested, f.claim()) || previous.inForce(f) {
			s.keys = append(s.keys, &f.Key)
		}
	}
	l.mark(s, previous)
	l.choose(s)
	return s
}

// mark puts the keys in order, with what is known of each.
func (l *loader) mark(s, previous *state) {
	if l.Check != CheckOff {
		s.keys = append(l.replaced(s.keys, previous), s.keys...)
	}
	order(s.keys)
	if l.Check == CheckOff {
		return
	}
	s.marks = make([]mark, len(s.keys))
	for i, key := range s.keys {
		if at := previous.index(key); at >= 0 {
			s.marks[i] = previous.marks[at]
		} else if before := l.remembered.Load(); before != nil {
			s.marks[i] = (*before)[fingerprint(key)]
		}
	}
}

// replaced returns the keys that had been proven and were replaced in their
// files, under their names, by others that are not: they go on until the world
// can verify what takes their place.
func (l *loader) replaced(keys []*Key, previous *state) (former []*Key) {
	if previous == nil || l.Check != CheckOn {
		return nil
	}
	for i, old := range previous.keys {
		if previous.marks[i].presence != dns.There {
			continue
		}
		for _, key := range keys {
			if key.Selector == old.Selector && !key.Equal(old) && !previous.has(key, dns.There) {
				former = append(former, old)
			}
		}
	}
	return former
}

// choose settles which keys sign, and when each of them began or ended to.
func (l *loader) choose(s *state) {
	if l.Check == CheckOn {
		s.signing = proven(s.keys, s.marks)
	} else {
		s.signing = newest(s.keys)
	}
	now := uint32(l.now().Unix())
	for i, key := range s.keys[:len(s.marks)] {
		m := &s.marks[i]
		switch signs := slices.Contains(s.signing, key); {
		case signs && m.active == 0:
			m.active = now
		case !signs && m.active != 0:
			m.active, m.stopped = 0, now
		}
	}
}

// learned returns the state with a clear answer about the record of a key.
func (l *loader) learned(s *state, key *Key, presence dns.Presence) *state {
	at := s.index(key)
	if at < 0 {
		return s // it went while the DNS was asked
	}
	next := *s
	next.keys, next.marks = nil, nil
	for i, k := range s.keys {
		m := s.marks[i]
		if i == at {
			m.presence, m.asked = presence, uint32(l.now().Unix())
		} else if presence == dns.There && k.Selector == key.Selector && !s.hasFile(k) {
			continue // it was replaced by key, which the world can verify now
		}
		next.keys, next.marks = append(next.keys, k), append(next.marks, m)
	}
	l.choose(&next)
	return &next
}

// hasFile reports whether a key is that of a file, and not one that was replaced.
func (s *state) hasFile(key *Key) bool {
	return slices.ContainsFunc(s.files, func(f *file) bool { return f.Signer != nil && f.Key.Equal(key) })
}

// index returns where a key is among those of the state, or -1. The state may be
// nil.
func (s *state) index(key *Key) int {
	if s == nil || s.marks == nil {
		return -1
	}
	return slices.IndexFunc(s.keys, key.Equal)
}

// has reports whether the last clear answer about the record of a key was this.
func (s *state) has(key *Key, presence dns.Presence) bool {
	at := s.index(key)
	return at >= 0 && s.marks[at].presence == presence
}

func holderOf(holders []*file, c claim) int {
	return slices.IndexFunc(holders, func(f *file) bool { return f.claim() == c })
}

// inForce reports whether the key of f was used under its name before.
func (s *state) inForce(f *file) bool {
	return s != nil && slices.ContainsFunc(s.keys, func(key *Key) bool { return key.Equal(&f.Key) })
}

func (s *state) report(f *file, err error, inForce bool) {
	s.problems = append(s.problems, Problem{File: f.File, Domain: f.Domain, Err: err, InForce: inForce})
}

// empty reports whether the directory has nothing of the domain any more.
func (s *state) empty() bool { return s.unread == nil && len(s.files) == 0 && len(s.problems) == 0 }

// missing reports whether a file has gone whose key is in force for a moment
// yet.
func (s *state) missing() bool {
	return len(s.files) > 0 && s.files[len(s.files)-1].gone != 0
}

// chosen returns the keys that sign, as Snapshot.Signing does.
func (s *state) chosen() ([]*Key, error) {
	switch {
	case len(s.signing) > 0:
		return s.signing, nil
	case len(s.problems) > 0:
		return nil, errors.New(s.problems[0].String())
	}
	return nil, ErrNoKey
}

// find returns the key under the name of key, if there is one.
func (s *state) find(key *Key) *Key {
	for _, have := range s.keys {
		if have.Selector == key.Selector {
			return have
		}
	}
	return nil
}

// signers names the selectors that sign.
func (s *state) signers() string {
	selectors := make([]string, len(s.signing))
	for i, key := range s.signing {
		selectors[i] = key.Selector
	}
	return strings.Join(selectors, ",")
}
