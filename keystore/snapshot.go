package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Snapshot is what the key directory held at one moment. It is immutable: a
// message takes it once and keeps it, so that key and selector are of a piece.
type Snapshot struct {
	domains  map[string]*domain
	files    map[string]*file // by path below the key directory
	problems []Problem
	missing  bool // a file has gone, and its key is in force for a moment yet
	outside  bool // a link leads out of the directory
}

// domain is all that the directory says of one signing domain.
type domain struct {
	keys    []*Key // usable, ordered by age
	signing []*Key
	broken  error // why a key of it is unusable, if one is
}

// Problem is a file that should be a key and is not usable as it stands.
type Problem struct {
	File   string
	Domain string // empty where the name of the file gives none
	Err    error
	// InForce says that the version of the file that was good goes on signing.
	InForce bool
}

func (p Problem) String() string {
	if p.InForce {
		return fmt.Sprintf("key %s: %v (its last good version stays in force)", p.File, p.Err)
	}
	return fmt.Sprintf("key %s: %v", p.File, p.Err)
}

// ErrNoKey says that the directory has no key for a domain.
var ErrNoKey = errors.New("no key")

// Signing returns the keys that sign for a domain given as A-labels, lower
// case: RSA first, then Ed25519. The error is ErrNoKey when the directory names
// no key for it, and says what is wrong when it does but none is usable.
func (s *Snapshot) Signing(name string) ([]*Key, error) {
	d := s.domains[name]
	switch {
	case d == nil || len(d.signing) == 0 && d.broken == nil:
		return nil, ErrNoKey
	case len(d.signing) == 0:
		return nil, d.broken
	}
	return d.signing, nil
}

// Keys returns the usable keys of a domain, the oldest first.
func (s *Snapshot) Keys(name string) []*Key {
	if d := s.domains[name]; d != nil {
		return d.keys
	}
	return nil
}

// Domains returns the domains that the directory names keys for, in order,
// those with only unusable ones too.
func (s *Snapshot) Domains() []string { return slices.Sorted(maps.Keys(s.domains)) }

// Problems returns what is wrong in the directory, ordered by file.
func (s *Snapshot) Problems() []Problem { return s.problems }

// KeyCount returns the number of usable keys.
func (s *Snapshot) KeyCount() int {
	n := 0
	for _, d := range s.domains {
		n += len(d.keys)
	}
	return n
}

// index builds the snapshot from the state of the files. Two different keys
// under one name cannot both be the one in the DNS, so neither signs, but the
// one that was in force stays.
func index(files map[string]*file, problems []Problem, previous *Snapshot) *Snapshot {
	s := &Snapshot{domains: make(map[string]*domain), files: files, problems: problems}
	holder := make(map[claim]string, len(files)) // the file whose key has the name
	contested := make(map[claim]bool)
	for _, p := range problems {
		if p.Domain != "" {
			s.domain(p.Domain).broken = errors.New(p.String())
		}
	}

	// Files that are there come before those that have gone.
	paths := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return cmp.Or(files[a].gone.Compare(files[b].gone), strings.Compare(a, b))
	})
	for _, path := range paths {
		f := files[path]
		d := s.domain(f.claim.domain)
		if !f.gone.IsZero() {
			s.missing = true
			if _, taken := holder[f.claim]; !taken {
				holder[f.claim] = path
			}
			continue
		}
		if f.err != nil {
			s.report(d, path, f.err, f.key != nil)
		}
		if f.key == nil {
			continue
		}
		other, taken := holder[f.claim]
		switch {
		case !taken:
			holder[f.claim] = path
		case files[other].key.samePublic(f.key):
			// The same key twice, say in two layouts, does no harm.
		default:
			contested[f.claim] = true
			if previous.inForce(f) {
				holder[f.claim], path, other = path, other, path
			}
			s.report(d, path, fmt.Errorf("%s has another key for selector %s of %s; hint: remove one of them",
				files[other].path, f.claim.selector, f.claim.domain), false)
		}
	}
	for c, path := range holder {
		f := files[path]
		if contested[c] && !previous.inForce(f) {
			continue
		}
		d := s.domains[c.domain]
		d.keys = append(d.keys, f.key)
	}
	for _, d := range s.domains {
		order(d.keys)
		d.signing = signing(d.keys)
	}
	slices.SortStableFunc(s.problems, func(a, b Problem) int { return strings.Compare(a.File, b.File) })
	return s
}

// inForce reports whether the key of f was used under its name before.
func (s *Snapshot) inForce(f *file) bool {
	if s == nil {
		return false
	}
	return slices.ContainsFunc(s.Keys(f.claim.domain), func(key *Key) bool { return key.Equal(f.key) })
}

func (s *Snapshot) domain(name string) *domain {
	d := s.domains[name]
	if d == nil {
		d = &domain{}
		s.domains[name] = d
	}
	return d
}

func (s *Snapshot) report(d *domain, path string, err error, inForce bool) {
	p := Problem{File: s.files[path].path, Domain: s.files[path].claim.domain, Err: err, InForce: inForce}
	s.problems = append(s.problems, p)
	if d.broken == nil {
		d.broken = errors.New(p.String())
	}
}
