package keystore

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// picture is what a source of keys shows: a snapshot that follows it, and what keeps keys
// in force that cannot be found. Readers take no lock.
type picture struct {
	name    string // of the source, for people
	log     *slog.Logger
	current atomic.Pointer[Snapshot]

	revision atomic.Int64
	reloads  atomic.Int64
	failed   atomic.Int64              // of the reloads
	loaded   atomic.Bool               // all keys were read, and that is logged
	first    atomic.Pointer[time.Time] // when a message last waited for keys that were not read; nil for never
	// See Observe; nil before it is called.
	onChange  func(domain string, added bool)
	onReadAll func()

	swap    sync.Mutex      // while a new snapshot takes the place of the last; nothing is read then
	missing map[string]bool // domains with a file that is missing; guarded by swap

	reads singleflight.Group // of domains that are read for the first time, by name

	held   atomic.Pointer[Held]
	told   string    // why keys are held, as it was logged last; "" for none
	toldAt time.Time // and when
}

func newPicture(name string, log *slog.Logger) picture {
	return picture{name: name, log: log, missing: make(map[string]bool)}
}

// Name returns the source for people: the key directory, or a URL without passwords.
func (s *picture) Name() string { return s.name }

// Observe has changed called whenever the keys of a domain have changed, with added
// when one of them is new, and readAll when the keys of all domains have been
// read, which may be now. It is called once, before Watch.
func (s *picture) Observe(changed func(domain string, added bool), readAll func()) {
	s.onChange, s.onReadAll = changed, readAll
	if s.loaded.Load() {
		readAll()
	}
}

// Snapshot returns what is in force now.
func (s *picture) Snapshot() *Snapshot { return s.current.Load() }

// Reloads returns how often the source was read again since the start, and how often
// that failed.
func (s *picture) Reloads() (reloads, failed int64) { return s.reloads.Load(), s.failed.Load() }

// Revision is a number that grows whenever the keys change.
func (s *picture) Revision() int64 { return s.revision.Load() }

// Reading returns how many domains there are, and the keys of how many were not read yet.
func (s *picture) Reading() (domains, unread int) {
	snapshot := s.Snapshot()
	_, unread = snapshot.Count()
	return snapshot.Len(), unread
}

// replace puts changes in force, and the invalid files unless nil: only who holds the
// reload lock changes them. It returns the changes that come too late.
func (s *picture) replace(changes []change, invalid []Problem) (late []change) {
	s.swap.Lock()
	defer s.swap.Unlock()
	before := s.Snapshot()
	after, late := before.with(changes)
	if invalid != nil {
		after.invalid = invalid
	}
	s.current.Store(after)
	changed := invalid != nil && !slices.EqualFunc(before.invalid, after.invalid, Problem.same)
	for _, c := range changes {
		if c.among(late) {
			continue
		}
		changed = true
		if delete(s.missing, c.name); c.now.missing() {
			s.missing[c.name] = true
		}
		c.wipe()
	}
	if changed {
		s.revision.Add(1)
	}
	return late
}
