package keystore

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// DomainKeys are the keys of one domain at one moment. They are immutable, and
// the same pointer means the same keys.
type DomainKeys struct {
	files  []*file    // present before missing ones
	keys   []*Key     // usable, the oldest first
	faults *[]Problem // nil for none; without a usable key, the first says why

	// unread are the units of a domain whose files were never read; then there are no
	// files yet.
	unread *[]string

	at place // where the files that are there were seen, or the units that were not read

	// The last scan of the Store that saw the domain, and how many units of it.
	// They are not part of the snapshot: only Store.Reload reads and writes them.
	scan, seen uint32
}

// none is for a domain without keys.
var none = &DomainKeys{}

// List returns the usable keys, the oldest first.
func (d *DomainKeys) List() []*Key { return d.keys }

// Err says why there is no usable key: ErrNoKey when the directory names none for
// the domain, otherwise what is wrong with the first. It is nil when there is one.
func (d *DomainKeys) Err() error {
	switch {
	case len(d.keys) > 0:
		return nil
	case len(d.Problems()) > 0:
		return d.Problems()[0]
	}
	return ErrNoKey
}

// newDomainKeys combines the files of a domain. Two different keys under one name
// cannot both be the one in the DNS, so neither signs, unless one was in force
// before, or only one is in a layout that came later. The previous keys may be
// nil, and are returned if these are the same.
func newDomainKeys(files []*file, at place, previous *DomainKeys) *DomainKeys {
	d := &DomainKeys{files: files, at: at}
	// Present files come before missing ones.
	slices.SortFunc(files, func(a, b *file) int {
		switch {
		case a.gone == nil && b.gone != nil:
			return -1
		case a.gone != nil && b.gone == nil:
			return 1
		}
		return strings.Compare(a.File, b.File)
	})
	if previous != nil && previous.unread == nil && previous.at == at &&
		slices.Equal(previous.files, files) {
		return previous
	}
	var holders []*file // one for each claim
	var contested []claim
	contest := func(holder int, f *file) {
		switch have := holders[holder]; {
		case previous.inForce(f):
			contested = append(contested, f.claim())
			holders[holder], f = f, have
		case previous.inForce(have) || f.later() == have.later():
			contested = append(contested, f.claim())
		case have.later():
			holders[holder], f = f, have
		}
		d.report(f.problem(finding.WithHint(fmt.Errorf("%s has another key for selector %s of %s",
			holders[holder].File, f.Selector, f.Domain), "remove one of them"), false))
	}
	for _, f := range files {
		if f.gone != nil {
			switch i := holderOf(holders, f.claim()); {
			case f.Signer == nil:
				d.report(f.problem(f.err, false))
			case i < 0:
				holders = append(holders, f)
			case previous.inForce(f) && !holders[i].samePublic(&f.Key):
				contest(i, f)
			}
			continue
		}
		if f.err != nil {
			inForce := func(other *file) bool {
				return other.Signer != nil && strings.HasPrefix(other.File, f.File)
			}
			d.report(f.problem(f.err, f.Signer != nil || f.isFolder() && slices.ContainsFunc(files, inForce)))
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
			contest(i, f)
		}
	}
	for _, f := range holders {
		if !slices.Contains(contested, f.claim()) || previous.inForce(f) {
			d.keys = append(d.keys, &f.Key)
		}
	}
	ByAge(d.keys)
	return d
}

func holderOf(holders []*file, c claim) int {
	return slices.IndexFunc(holders, func(f *file) bool { return f.claim() == c })
}

// inForce reports whether the key of f was used under its name before.
func (d *DomainKeys) inForce(f *file) bool {
	return d != nil && slices.ContainsFunc(d.keys, func(key *Key) bool { return key.Equal(&f.Key) })
}

func (d *DomainKeys) report(p Problem) {
	all := append(d.Problems(), p)
	d.faults = &all
}

func (f *file) problem(err error, inForce bool) Problem {
	return Problem{File: filepath.Clean(f.File), Domain: f.Domain, Err: err, InForce: inForce}
}

// Problems returns what is wrong with files of the domain.
func (d *DomainKeys) Problems() []Problem {
	if d.faults == nil {
		return nil
	}
	return *d.faults
}

// empty reports whether nothing of the domain is left in the directory.
func (d *DomainKeys) empty() bool {
	return d.unread == nil && len(d.files) == 0 && d.faults == nil
}

// missing reports whether a file is missing whose key stays in force for the grace
// period.
func (d *DomainKeys) missing() bool {
	return len(d.files) > 0 && d.files[len(d.files)-1].gone != nil
}

// lost reports whether a file is missing with all other keys of the source.
func (d *DomainKeys) lost() bool { return d.missing() && d.files[len(d.files)-1].gone.lost }

// find returns the key under the name of key, if there is one.
func (d *DomainKeys) find(key *Key) *Key {
	for _, have := range d.keys {
		if have.Selector == key.Selector {
			return have
		}
	}
	return nil
}

// Problem is a file that should be a key and is not usable as it stands. It is an
// error with the advice of its cause.
type Problem struct {
	File   string
	Domain string // empty where the name of the file gives none
	Err    error
	// InForce says that the version of the file that was good stays in force.
	InForce bool
}

func (p Problem) Error() string {
	if p.InForce {
		return fmt.Sprintf("key %s: %v (its last good version stays in force)", p.File, p.Err)
	}
	return fmt.Sprintf("key %s: %v", p.File, p.Err)
}

func (p Problem) Unwrap() error { return p.Err }

// same reports whether two are told in the same words.
func (p Problem) same(other Problem) bool {
	return p.File == other.File && finding.Text(p) == finding.Text(other)
}

// ErrNoKey says that the directory has no key for a domain.
var ErrNoKey = errors.New("no key")
