package rotation

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"signpost/keystore"
	"signpost/keystore/dns"
)

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

// signers returns the keys that sign, or why there is none.
func (p *page) signers() ([]*keystore.Key, error) {
	switch {
	case len(p.signing) > 0:
		return p.signing, nil
	case isShared(p.of.List()):
		return nil, p.unproven()
	}
	return nil, p.of.Err()
}

// selectors names the selectors that sign.
func (p *page) selectors() string {
	selectors := make([]string, len(p.signing))
	for i, key := range p.signing {
		selectors[i] = key.Selector
	}
	return strings.Join(selectors, ",")
}
