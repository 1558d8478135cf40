package keystore

import (
	"container/list"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the domains that a Shared knows. Who sends mail chooses what it is asked for, so
// those that are not known to have published a key give way to newer ones.
const (
	mostShared     = 100_000       // that have published one
	mostCandidates = 5_000         // that have not, as far as is known
	candidateLives = 6 * time.Hour // after its last message
	tidyEvery      = time.Minute
)

// Shared is a Source with a few keys more, which any domain may use that publishes one
// of them, and that has no key in the other Source. It has the domains that mail came
// from: whether they have published a key is for who uses it to find out. Key.Shared tells
// these keys from others.
type Shared struct {
	Source
	log     *slog.Logger
	keys    *SharedKeys
	mine    atomic.Pointer[sharedDomains]
	whole   atomic.Pointer[wholeSnapshot]
	changes atomic.Int64

	onChange func(domain string, added bool)
	signs    func(domain string) bool

	mu         sync.Mutex
	known      map[string]*sharedDomain
	candidates *list.List // of names that may go, the one wanted last in front
	proven     int
}

type sharedDomain struct {
	wanted time.Time
	pinned bool
	proven bool          // when it was looked at last
	at     *list.Element // in candidates; nil where it stays
}

// sharedDomains are the domains with their keys. They are immutable.
type sharedDomains struct {
	shards
	keys     int
	problems []Problem
}

// wholeSnapshot is what was made of two parts.
type wholeSnapshot struct {
	own  *Snapshot
	mine *sharedDomains
	all  *Snapshot
}

// NewShared adds keys to those of a Source.
func NewShared(own Source, keys *SharedKeys, log *slog.Logger) *Shared {
	s := &Shared{Source: own, log: log, keys: keys, known: make(map[string]*sharedDomain), candidates: list.New(),
		onChange: func(string, bool) {}, signs: func(string) bool { return false }}
	shared := keys.Of("")
	s.mine.Store(&sharedDomains{shards: newShards(), keys: len(shared)})
	for _, key := range shared {
		logKey(log, "shared key loaded", key)
	}
	return s
}

// Follow has signs asked whether a domain is known to have published one of the keys: it
// does not give way to others then. It is called before Watch.
func (s *Shared) Follow(signs func(domain string) bool) { s.signs = signs }

// Pin adds domains that are never forgotten.
func (s *Shared) Pin(domains ...string) { s.add(true, false, domains) }

// Restore adds domains that had published a key before the start. They do not give way before
// it is known that they no longer have.
func (s *Shared) Restore(domains ...string) { s.add(false, true, domains) }

// Want adds a domain, given as A-labels, that has no key, or keeps one from being
// forgotten.
func (s *Shared) Want(domain string) { s.add(false, false, []string{domain}) }

func (s *Shared) add(pinned, proven bool, domains []string) {
	changed := make(map[string]*DomainKeys)
	s.mu.Lock()
	for _, name := range domains {
		if d := s.known[name]; d != nil {
			d.wanted = time.Now()
			if d.at != nil {
				s.candidates.MoveToFront(d.at)
			}
			continue
		}
		if !pinned && s.Source.Snapshot().Domain(name) != none {
			continue
		}
		name = strings.Clone(name) // it may be a part of a mail's large header
		d := &sharedDomain{wanted: time.Now(), pinned: pinned, proven: proven && s.proven < mostShared}
		switch {
		case d.proven:
			s.proven++
		case !pinned:
			s.evict(changed)
			d.at = s.candidates.PushFront(name)
		}
		s.known[name], changed[name] = d, &DomainKeys{keys: s.keys.Of(name)}
	}
	s.put(changed)
	s.mu.Unlock()
	s.tell(changed)
}

// evict makes room for a candidate: that which was wanted longest ago goes, unless it has
// published a key in the meantime. The lock is held.
func (s *Shared) evict(changed map[string]*DomainKeys) {
	for s.candidates.Len() >= mostCandidates {
		name := s.candidates.Back().Value.(string)
		if !s.settle(name, s.known[name]) {
			s.forget(name, changed)
		}
	}
}

// settle keeps a candidate that has published a key, while there is room, and makes one
// again of what has not. It reports whether the domain stays. The lock is held.
func (s *Shared) settle(name string, d *sharedDomain) bool {
	signs := s.signs(name)
	switch {
	case signs && !d.proven && (d.pinned || s.proven < mostShared):
		d.proven = true
		if s.proven++; d.at != nil {
			s.candidates.Remove(d.at)
			d.at = nil
		}
	case !signs && d.proven:
		d.proven, d.wanted = false, time.Now()
		if s.proven--; !d.pinned {
			d.at = s.candidates.PushFront(name)
		}
	}
	return d.at == nil
}

// forget takes a domain out. The lock is held.
func (s *Shared) forget(name string, changed map[string]*DomainKeys) {
	d := s.known[name]
	if d.at != nil {
		s.candidates.Remove(d.at)
	}
	if d.proven {
		s.proven--
	}
	delete(s.known, name)
	changed[name] = nil
}

// tidy forgets the domains that have keys of their own now, and candidates that no mail
// came from for long.
func (s *Shared) tidy(now time.Time) {
	own, changed := s.Source.Snapshot(), make(map[string]*DomainKeys)
	s.mu.Lock()
	for name, d := range s.known {
		switch stays := s.settle(name, d); {
		case own.Domain(name) != none && !d.pinned, !stays && now.Sub(d.wanted) > candidateLives:
			s.forget(name, changed)
		}
	}
	s.put(changed)
	s.mu.Unlock()
	s.tell(changed)
}

// put puts the keys of domains in force, and takes those out that have none. The lock is
// held.
func (s *Shared) put(changed map[string]*DomainKeys) {
	if len(changed) == 0 {
		return
	}
	next := *s.mine.Load()
	var own [len(next.shards)]bool
	for name, keys := range changed {
		i := shardOf(name)
		if !own[i] {
			own[i], next.shards[i] = true, maps.Clone(next.shards[i])
		}
		if next.shards[i][name] = keys; keys == nil {
			delete(next.shards[i], name)
		}
	}
	s.mine.Store(&next)
	s.changes.Add(1)
}

// tell calls the observer for domains that have changed.
func (s *Shared) tell(changed map[string]*DomainKeys) {
	for name, keys := range changed {
		s.onChange(name, keys != nil)
	}
}

// Snapshot is that of Source, with the domains that may use the shared keys.
func (s *Shared) Snapshot() *Snapshot {
	own, mine := s.Source.Snapshot(), s.mine.Load()
	if w := s.whole.Load(); w != nil && w.own == own && w.mine == mine {
		return w.all
	}
	all := *own
	all.shared, all.invalid = mine, slices.Concat(own.invalid, mine.problems)
	s.whole.Store(&wholeSnapshot{own, mine, &all})
	return &all
}

// Domain is that of Source.
func (s *Shared) Domain(name string) *DomainKeys {
	if mine := s.mine.Load().find(name); mine != nil && s.Source.Snapshot().Domain(name) == none {
		return mine // its own keys would be there: no store is asked again
	}
	return s.Source.Domain(name)
}

// Notes is that of Source. For a shared key there are none.
func (s *Shared) Notes(domain string) ([]byte, error) {
	if s.Source.Snapshot().Domain(domain) == none {
		return nil, nil
	}
	return s.Source.Notes(domain)
}

// Observe is that of Source.
func (s *Shared) Observe(changed func(domain string, added bool), readAll func()) {
	s.onChange = changed
	s.Source.Observe(changed, readAll)
}

// Revision is that of Source.
func (s *Shared) Revision() int64 { return s.Source.Revision() + s.changes.Load() }

// Reload is that of Source.
func (s *Shared) Reload() error {
	s.readFiles()
	return s.Source.Reload()
}

// Accept is that of Source.
func (s *Shared) Accept() error {
	s.readFiles()
	return s.Source.Accept()
}

// Watch is that of Source. The files of shared keys are looked at every second.
func (s *Shared) Watch(ctx context.Context, rescan time.Duration) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { s.Source.Watch(ctx, rescan) })
	look, tidy := time.NewTicker(time.Second), time.NewTicker(tidyEvery)
	defer look.Stop()
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			s.readFiles()
		case <-tidy.C:
			s.tidy(time.Now())
		}
	}
}

// readFiles puts shared keys in force that were replaced.
func (s *Shared) readFiles() {
	replaced, told := s.keys.read(s.log)
	if !replaced && !told {
		return
	}
	changed := make(map[string]*DomainKeys)
	s.mu.Lock()
	if replaced {
		for name := range s.known {
			changed[name] = &DomainKeys{keys: s.keys.Of(name)}
		}
		s.put(changed)
	}
	next := *s.mine.Load()
	next.problems = s.keys.problems()
	s.mine.Store(&next)
	s.changes.Add(1)
	s.mu.Unlock()
	s.tell(changed)
}
