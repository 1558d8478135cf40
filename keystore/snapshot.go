package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Snapshot is what the key directory held at one moment. What it says of one
// domain is of a piece: a message asks once, so that key and selector belong
// together.
type Snapshot struct {
	shards shards
	loader *loader
	// misfits are files whose names give no domain.
	misfits []Problem
	// noticed is told of the first state of a domain.
	noticed func(*state)
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

// snapshot makes a snapshot of units that nobody has read.
func (l *loader) snapshot(units map[string][]string) *Snapshot {
	s := &Snapshot{shards: newShards(), loader: l, misfits: l.sortedMisfits()}
	for name, list := range units {
		d := &domain{}
		d.state.Store(&state{unread: &list})
		s.shards.of(name)[name] = d
	}
	return s
}

func (l *loader) sortedMisfits() (all []Problem) {
	for _, problems := range l.misfits {
		all = append(all, problems...)
	}
	slices.SortFunc(all, func(a, b Problem) int { return strings.Compare(a.File, b.File) })
	return all
}

// state returns what is known of a domain, and reads its files if nobody has.
func (s *Snapshot) state(name string) *state {
	d := s.shards.find(name)
	if d == nil {
		return &state{}
	}
	known := d.state.Load()
	if known.unread != nil {
		known = s.read(name, d, nil)
	}
	return known
}

// read reads the files of a domain for the first time.
func (s *Snapshot) read(name string, d *domain, previous *state) *state {
	defer s.loader.lock(name)()
	known := d.state.Load()
	if known.unread == nil {
		return known // another goroutine was first
	}
	read := s.loader.build(name, *known.unread, previous)
	d.state.Store(read)
	if s.noticed != nil {
		s.noticed(read)
	}
	return read
}

// lock keeps others from reading the files of the domain.
func (l *loader) lock(name string) (unlock func()) {
	mu := &l.reading[shardOf(name)%len(l.reading)]
	mu.Lock()
	return mu.Unlock
}

// readAll reads what nobody has read, by as many as there are workers: most of
// the time goes into the arithmetic of parsing RSA keys. Domains that turn out
// to have nothing go.
func (s *Snapshot) readAll(workers int, previous *Snapshot) {
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(s.shards)); i = next.Add(1) - 1 {
			for name, d := range s.shards[i] {
				var before *state
				if previous != nil {
					before = previous.known(name)
				}
				if s.read(name, d, before).empty() {
					delete(s.shards[i], name)
				}
			}
		}
	}
	var running sync.WaitGroup
	for range min(workers, s.Len()) - 1 {
		running.Go(work)
	}
	work()
	running.Wait()
}

// known returns what is known of a domain, nil if nothing is.
func (s *Snapshot) known(name string) *state {
	if d := s.shards.find(name); d != nil {
		return d.state.Load()
	}
	return nil
}

// Signing returns the keys that sign for a domain given as A-labels, lower
// case: RSA first, then Ed25519. The error is ErrNoKey when the directory names
// no key for it, and says what is wrong when it does but none is usable.
func (s *Snapshot) Signing(name string) ([]*Key, error) { return s.state(name).chosen() }

// Keys returns the usable keys of a domain, the oldest first.
func (s *Snapshot) Keys(name string) []*Key { return s.state(name).keys }

// Len returns the number of domains that the directory names keys for.
func (s *Snapshot) Len() (n int) {
	for _, shard := range s.shards {
		n += len(shard)
	}
	return n
}

// Domains returns the domains that the directory names keys for, in order,
// those with only unusable ones too.
func (s *Snapshot) Domains() []string {
	names := make([]string, 0, s.Len())
	for name := range s.shards.all() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Problems returns what is known to be wrong in the directory, ordered by file.
func (s *Snapshot) Problems() []Problem {
	all := slices.Clone(s.misfits)
	for _, d := range s.shards.all() {
		all = append(all, d.state.Load().problems...)
	}
	slices.SortStableFunc(all, func(a, b Problem) int { return cmp.Compare(a.File, b.File) })
	return all
}

// Count returns the number of usable keys, and of domains whose keys nobody has
// read yet.
func (s *Snapshot) Count() (usable, unread int) {
	for _, d := range s.shards.all() {
		known := d.state.Load()
		usable += len(known.keys)
		if known.unread != nil {
			unread++
		}
	}
	return usable, unread
}

// Read reports whether the files of a domain have been read. To ask for its keys
// reads them.
func (s *Snapshot) Read(name string) bool {
	known := s.known(name)
	return known == nil || known.unread == nil
}

// shards are the domains by name, in parts so that a change to one domain copies
// few of them.
type shards [256]map[string]*domain

func newShards() (s shards) {
	for i := range s {
		s[i] = make(map[string]*domain)
	}
	return s
}

// shardOf is the hash FNV-1a, a byte of it.
func shardOf(name string) int {
	hash := uint32(2166136261)
	for i := range len(name) {
		hash = (hash ^ uint32(name[i])) * 16777619
	}
	return int(hash>>24 ^ hash&0xff)
}

func (s *shards) of(name string) map[string]*domain { return s[shardOf(name)] }

func (s *shards) find(name string) *domain { return s.of(name)[name] }

// all yields every domain.
func (s *shards) all() func(yield func(string, *domain) bool) {
	return func(yield func(string, *domain) bool) {
		for _, shard := range s {
			for name, d := range shard {
				if !yield(name, d) {
					return
				}
			}
		}
	}
}

// keep adds the domains of before that a listing does not have any more: their
// keys stay for a moment.
func (s *shards) keep(before shards) {
	for name, d := range before.all() {
		if s.find(name) == nil && len(d.state.Load().files) > 0 {
			kept := &domain{}
			kept.state.Store(&state{unread: new([]string)})
			s.of(name)[name] = kept
		}
	}
}
