package rotation

import (
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
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
	store *keystore.Store
	mode  Mode
	log   *slog.Logger
	now   func() time.Time
	nudge func(names ...string) // of domains with new keys

	revision atomic.Int64
	changed  atomic.Bool // something is known that is not written yet

	// remembered is what was known before the start, until the keys of all domains
	// have been read: a key that comes later is a new one.
	remembered atomic.Pointer[map[fingerprint]Mark]
	state      string // directory of the state file; "" for none

	seed   maphash.Seed
	shards [4096]shard
}

// shard is a part of the pages, by domain, so small that to change one page copies
// little. Readers take no lock.
type shard struct {
	mu    sync.Mutex // of who changes pages
	pages atomic.Pointer[map[string]*page]
}

func (s *shard) find(domain string) *page {
	if pages := s.pages.Load(); pages != nil {
		return (*pages)[domain]
	}
	return nil
}

// set puts a page in place, or takes it out where it is nil. The lock is held.
func (s *shard) set(domain string, p *page) {
	pages := make(map[string]*page)
	if before := s.pages.Load(); before != nil {
		pages = maps.Clone(*before)
	}
	if pages[domain] = p; p == nil {
		delete(pages, domain)
	}
	s.pages.Store(&pages)
}

// page is what the book has of one domain. It is immutable, and small, for there may
// be a hundred thousand.
type page struct {
	of      *keystore.DomainKeys // what it was made of
	more    *[]*keystore.Key     // list, where some keys were replaced in their files and go on
	marks   []Mark               // of the keys in list; nil when the DNS is not asked
	signing []*keystore.Key
}

// list returns the usable keys, the oldest first, those that were replaced too.
func (p *page) list() []*keystore.Key {
	if p.more != nil {
		return *p.more
	}
	return p.of.List()
}

// provisional reports whether the oldest key signs because nothing is known of any.
// Until a message is signed it counts as one that never did.
func (b *Book) provisional(p *page) bool { return b.mode.decides() && nothingKnown(p.marks) }

// Open returns the book of a store. What it knew before the start is in the state
// directory; "" is for none.
func Open(store *keystore.Store, mode Mode, state string, log *slog.Logger) (*Book, error) {
	b := newBook(store, mode, state, log)
	if state != "" && mode != Off {
		marks, err := readState(state)
		switch {
		case err != nil && marks == nil:
			return nil, err
		case err != nil:
			log.Warn("the state is lost in part", finding.Attr(err))
		}
		b.remembered.Store(&marks)
	}
	store.Observe(b.domainChanged, b.allRead)
	return b, nil
}

func newBook(store *keystore.Store, mode Mode, state string, log *slog.Logger) *Book {
	return &Book{store: store, mode: mode, state: state, log: log, now: time.Now, seed: maphash.MakeSeed()}
}

// Signing returns the keys that sign for a domain given as A-labels, lower case:
// RSA first, then Ed25519. The error is keystore.ErrNoKey when the directory names
// no key for it, and says what is wrong when it does but none is usable.
func (b *Book) Signing(domain string) ([]*keystore.Key, error) {
	p := b.page(domain)
	if len(p.signing) == 0 {
		return nil, p.of.Err()
	}
	return p.signing, nil
}

// Take is Signing for a message, which is then signed with the keys.
func (b *Book) Take(domain string) ([]*keystore.Key, error) {
	p := b.page(domain)
	if len(p.signing) == 0 {
		return nil, p.of.Err()
	}
	if b.provisional(p) {
		b.use(domain)
	}
	return p.signing, nil
}

// Status returns the usable keys of a domain, the oldest first, as Decide has them.
func (b *Book) Status(domain string, now time.Time) []Status {
	p := b.page(domain)
	return Decide(p.list(), p.marks, b.mode, now)
}

// Mode returns what the answers of the DNS are for.
func (b *Book) Mode() Mode { return b.mode }

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
			if now.Sub(key.ModTime) <= age {
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
	for i, key := range p.list() {
		if at := was.index(key); at >= 0 {
			p.marks[i] = was.marks[at]
		} else if before := b.remembered.Load(); before != nil {
			p.marks[i] = (*before)[fingerprintOf(key)]
		}
		p.marks[i] = noted.add(p.marks[i], key)
	}
	p.signing = settle(p.list(), p.marks, b.mode, b.now())
	return p
}

// replaced returns the keys that had been proven and were replaced in their
// files, under their names, by others that are not: they go on until the world
// can verify what takes their place.
func (b *Book) replaced(keys []*keystore.Key, was *page) (former []*keystore.Key) {
	if was == nil || !b.mode.decides() {
		return nil
	}
	for i, old := range was.list() {
		if was.marks[i].Presence != dns.There {
			continue
		}
		for _, key := range keys {
			if key.Selector == old.Selector && !key.Equal(old) && !was.has(key, dns.There) {
				former = append(former, old)
			}
		}
	}
	return former
}

// use notes that a key signs of which nothing is known.
func (b *Book) use(domain string) {
	s := b.shard(domain)
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.find(domain)
	if was == nil || !b.provisional(was) {
		return
	}
	now := *was
	now.marks = slices.Clone(was.marks)
	for i, key := range now.list() {
		if slices.Contains(now.signing, key) {
			now.marks[i].Active = At(b.now())
		}
	}
	s.set(domain, &now)
	b.changed.Store(true)
	b.revision.Add(1)
}

// learn takes the clear answers of the DNS about keys of a domain, and logs what
// follows from them. They count all at once, so that the order in which the keys were
// asked for makes no difference.
func (b *Book) learn(domain string, keys []*keystore.Key, answers []dns.KeyAnswer) {
	if !slices.ContainsFunc(answers, func(a dns.KeyAnswer) bool { return a.Presence != dns.Unknown }) {
		return
	}
	s := b.shard(domain)
	s.mu.Lock()
	was := s.find(domain)
	if was == nil || was.marks == nil {
		s.mu.Unlock()
		return // the keys went while the DNS was asked
	}
	now := b.learned(was, keys, answers)
	s.set(domain, now)
	s.mu.Unlock()
	b.changed.Store(true)
	b.revision.Add(1)
	for i, key := range keys {
		at := was.index(key)
		if at < 0 || answers[i].Presence == dns.Unknown {
			continue
		}
		if before := was.marks[at].Presence; before != answers[i].Presence {
			b.logPresence(now, key, before, answers[i])
		}
	}
	b.logSigners(domain, was, now)
}

// learned returns the page with clear answers about the records of its keys.
func (b *Book) learned(was *page, keys []*keystore.Key, answers []dns.KeyAnswer) *page {
	marks := slices.Clone(was.marks)
	proven := make(map[string]bool) // selectors of keys in the directory
	for i, key := range keys {
		at := was.index(key)
		if at < 0 || answers[i].Presence == dns.Unknown {
			continue
		}
		marks[at] = marks[at].answered(answers[i].Presence, b.now())
		if answers[i].Presence == dns.There && slices.Contains(was.of.List(), was.list()[at]) {
			proven[key.Selector] = true
		}
	}
	next := &page{of: was.of, marks: marks}
	if was.more != nil {
		var all []*keystore.Key
		next.marks = nil
		for i, key := range was.list() {
			if proven[key.Selector] && !slices.Contains(was.of.List(), key) {
				continue // it was replaced by one that the world can verify now
			}
			all, next.marks = append(all, key), append(next.marks, marks[i])
		}
		if len(all) > len(was.of.List()) {
			next.more = &all
		}
	}
	next.signing = settle(next.list(), next.marks, b.mode, b.now())
	return next
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

// read returns the keys of a domain, and the notes of a rotation where there may be
// any.
func (b *Book) read(domain string) (keys *keystore.DomainKeys, noted notes) {
	keys = b.store.Domain(domain)
	if b.mode != Off && len(keys.List()) > 1 {
		noted, _ = readNotes(b.store.Dir(), domain) // damaged: the companion says so
	}
	return keys, noted
}

func (b *Book) shard(domain string) *shard {
	return &b.shards[maphash.String(b.seed, domain)%uint64(len(b.shards))]
}

// index returns where a key is on the page, or -1. The page may be nil.
func (p *page) index(key *keystore.Key) int {
	if p == nil || p.marks == nil {
		return -1
	}
	return slices.IndexFunc(p.list(), key.Equal)
}

// has reports whether the last clear answer about the record of a key was this.
func (p *page) has(key *keystore.Key, presence dns.Presence) bool {
	at := p.index(key)
	return at >= 0 && p.marks[at].Presence == presence
}

// signers names the selectors that sign.
func (p *page) signers() string {
	selectors := make([]string, len(p.signing))
	for i, key := range p.signing {
		selectors[i] = key.Selector
	}
	return strings.Join(selectors, ",")
}
