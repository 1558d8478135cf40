package rotation

import (
	"hash/maphash"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// Book keeps what is known of the keys of a Store, and says who signs. To ask it
// on the path of a message takes no disk, no DNS and no lock that is held for
// either, once the keys of the domain have been read.
type Book struct {
	store keystore.Source
	mode  Mode
	log   *slog.Logger
	now   func() time.Time
	nudge func(names ...string) // of domains with new keys

	revision atomic.Int64
	changed  atomic.Bool // something is known that is not written yet

	// remembered is what was known before the start, until the keys of all domains
	// have been read: a key that comes later is a new one.
	remembered atomic.Pointer[memory]
	state      State
	news       recent

	seed   maphash.Seed
	shards [4096]shard
}

// Open returns the book of a store. What it knew before the start is in the state
// directory, if there is one.
func Open(store keystore.Source, mode Mode, state State, log *slog.Logger) (*Book, error) {
	b := newBook(store, mode, state, log)
	if mode != Off {
		before := &memory{heard: make(map[fingerprint]Finding)}
		if state.Dir != "" {
			var err error
			before.marks, err = state.read(At(b.now()))
			switch {
			case err != nil && before.marks == nil:
				return nil, err
			case err != nil:
				log.Warn("the state is lost in part", finding.Attr(err))
			}
		}
		b.remembered.Store(before)
	}
	store.Observe(b.domainChanged, b.allRead)
	return b, nil
}

func newBook(store keystore.Source, mode Mode, state State, log *slog.Logger) *Book {
	return &Book{store: store, mode: mode, state: state, log: log, now: time.Now, seed: maphash.MakeSeed(),
		news: recent{epoch: newEpoch()}}
}

// Signing returns the keys that sign for a domain given as A-labels, lower case:
// RSA first, then Ed25519. The error is keystore.ErrNoKey when the directory names
// no key for it, and says what is wrong when it does but none is usable.
func (b *Book) Signing(domain string) ([]*keystore.Key, error) {
	return b.page(domain).signers()
}

// Take is Signing for a message, which is then signed with the keys.
func (b *Book) Take(domain string) ([]*keystore.Key, error) {
	p := b.page(domain)
	keys, err := p.signers()
	if err == nil && b.provisional(p) {
		b.use(domain)
	}
	return keys, err
}

// Status returns the usable keys of a domain, the oldest first, as Decide has them.
func (b *Book) Status(domain string, now time.Time) []Status {
	p := b.page(domain)
	return Decide(p.list(), p.marks, b.mode, now)
}

// Revision is a number that grows when anything that the book says changes.
func (b *Book) Revision() int64 { return b.store.Revision() + b.revision.Load() }

// Aged returns how many of the keys that sign have files older than age, and the
// oldest of those. Domains whose keys nobody has read yet are left out.
func (b *Book) Aged(age time.Duration, now time.Time) (n int, oldest *keystore.Key) {
	snapshot := b.store.Snapshot()
	for _, name := range snapshot.Domains() {
		if !snapshot.Read(name) {
			continue
		}
		for _, key := range b.page(name).signing {
			if key.ModTime.IsZero() || now.Sub(key.ModTime) <= age {
				continue
			}
			n++
			if oldest == nil || key.ModTime.Before(oldest.ModTime) {
				oldest = key
			}
		}
	}
	return n, oldest
}

// page returns the page of a domain. The store tells of each change to its keys, so
// that one which is there is of the keys that it has now.
func (b *Book) page(domain string) *page {
	if p := b.shard(domain).find(domain); p != nil {
		return p
	}
	if keys := b.store.Domain(domain); len(keys.List()) == 0 {
		return &page{of: keys} // there may be a great many that have no key
	}
	return b.turn(domain)
}

// turn makes the page of a domain anew for the keys that it has now.
func (b *Book) turn(domain string) *page {
	for {
		keys, noted := b.read(domain)
		s := b.shard(domain)
		s.mu.Lock()
		if b.store.Snapshot().Domain(domain) != keys {
			s.mu.Unlock()
			continue // they changed again: pages only go forward
		}
		was := s.find(domain)
		if was != nil && was.of == keys {
			s.mu.Unlock()
			return was
		}
		now := b.write(keys, was, noted)
		if len(keys.List()) == 0 {
			s.set(domain, nil)
		} else {
			s.set(domain, now)
		}
		s.mu.Unlock()
		if was != nil {
			b.logSigners(domain, was, now)
		}
		b.changed.Store(true)
		b.revision.Add(1)
		return now
	}
}

// write makes the page of keys. The page before may be nil.
func (b *Book) write(keys *keystore.DomainKeys, was *page, noted notes) *page {
	p := &page{of: keys}
	if former := b.replaced(keys.List(), was); len(former) > 0 {
		all := keystore.ByAge(slices.Concat(former, keys.List()))
		p.more = &all
	}
	if b.mode == Off {
		p.signing = choose(p.list(), nil, b.mode)
		return p
	}
	p.marks = make([]Mark, len(p.list()))
	heard := make([]*Finding, len(p.list()))
	for i, key := range p.list() {
		if at := was.index(key); at >= 0 {
			p.marks[i] = was.marks[at]
		} else if before := b.remembered.Load(); before != nil {
			p.marks[i], heard[i] = before.of(fingerprintOf(key))
		}
		p.marks[i] = noted.add(p.marks[i], key)
	}
	p.take(heard, b.mode)
	p.signing = settle(p.list(), p.marks, b.mode, b.now())
	return p
}

// domainChanged follows a change to the keys of a domain.
func (b *Book) domainChanged(domain string, added bool) {
	b.turn(domain)
	if added && b.nudge != nil {
		b.nudge(domain)
	}
}

// allRead makes the pages of all domains, and forgets what was known before the
// start.
func (b *Book) allRead() {
	domains := make(map[*shard][]string)
	for _, name := range b.store.Snapshot().Domains() {
		s := b.shard(name)
		domains[s] = append(domains[s], name)
	}
	for s, names := range domains {
		b.fill(s, names)
	}
	b.remembered.Store(nil)
}

// fill makes the pages of domains that have none, all of one shard.
func (b *Book) fill(s *shard, names []string) {
	keys, noted := make([]*keystore.DomainKeys, len(names)), make([]notes, len(names))
	for i, name := range names {
		keys[i], noted[i] = b.read(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pages := make(map[string]*page, len(names))
	if before := s.pages.Load(); before != nil {
		maps.Copy(pages, *before)
	}
	snapshot := b.store.Snapshot()
	for i, name := range names {
		if len(keys[i].List()) > 0 && pages[name] == nil && snapshot.Domain(name) == keys[i] {
			pages[name] = b.write(keys[i], nil, noted[i])
		}
	}
	s.pages.Store(&pages)
	b.changed.Store(true)
	b.revision.Add(1)
}

// read returns the keys of a domain, none if they were not read yet, and the notes of a
// rotation where there may be any.
func (b *Book) read(domain string) (keys *keystore.DomainKeys, noted notes) {
	keys = b.store.Snapshot().Domain(domain)
	if b.mode != Off && len(keys.List()) > 1 {
		if data, err := b.store.Notes(domain); err == nil {
			noted, _ = parseNotes(data) // damaged: the companion says so
		}
	}
	return keys, noted
}

func (b *Book) shard(domain string) *shard {
	return &b.shards[maphash.String(b.seed, domain)%uint64(len(b.shards))]
}

// findings yields what is known of all keys that were read, by domain.
func (b *Book) findings() iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		for _, name := range b.store.Snapshot().Domains() {
			p := b.shard(name).find(name)
			if p == nil {
				continue
			}
			for i, m := range p.marks {
				if m.Presence != dns.Unknown && !yield(m.finding(p.list()[i], fingerprintOf(p.list()[i]))) {
					return
				}
			}
		}
	}
}
