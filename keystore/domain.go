package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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
	signing  []*Key    // of these
	problems []Problem // the first says why the domain has no key, where it has none
}

// newState puts together what the files of a domain come to. Two different keys
// under one name cannot both be the one in the DNS, so neither signs, but the
// one that was in force stays. The folder's problem and the previous state may
// be nil.
func newState(files []*file, folder *Problem, previous *state) *state {
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
	order(s.keys)
	s.signing = signing(s.keys)
	return s
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
