package keystore

import (
	"cmp"
	"maps"
	"slices"
)

// Snapshot is what the key directory held at one moment. It is immutable: what
// changes is a new snapshot.
type Snapshot struct {
	shards  shards
	invalid []Problem      // of files whose names give no domain
	shared  *sharedDomains // beneath, with keys that are not their own; nil for none
}

// Domain returns the keys of a domain given as A-labels, lower case. In a
// snapshot of a Store with very many domains they may not have been read yet:
// Store.Domain reads them.
func (s *Snapshot) Domain(name string) *DomainKeys {
	if d := s.shards.find(name); d != nil {
		return d
	}
	if s.shared != nil {
		if d := s.shared.find(name); d != nil {
			return d
		}
	}
	return none
}

// Keys returns the usable keys of a domain, the oldest first.
func (s *Snapshot) Keys(name string) []*Key { return s.Domain(name).keys }

// WithShared returns a snapshot in which domains that have no keys have the shared ones.
func (s *Snapshot) WithShared(keys *SharedKeys, domains ...string) *Snapshot {
	all := *s
	all.shared = &sharedDomains{shards: newShards(), keys: len(keys.Of(""))}
	for _, name := range domains {
		all.shared.of(name)[name] = &DomainKeys{keys: keys.Of(name)}
	}
	return &all
}

// Len returns the number of domains that have keys of their own.
func (s *Snapshot) Len() (n int) {
	for _, shard := range s.shards {
		n += len(shard)
	}
	return n
}

// Domains returns the domains that the directory names keys for, in order, those
// with only unusable ones too, and those that may use a shared key.
func (s *Snapshot) Domains() []string {
	names := make([]string, 0, s.Len())
	for name := range s.shards.all() {
		names = append(names, name)
	}
	if s.shared != nil {
		for name := range s.shared.all() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Problems returns what is known to be wrong in the directory, ordered by file.
func (s *Snapshot) Problems() []Problem {
	all := slices.Clone(s.invalid)
	for _, d := range s.shards.all() {
		all = append(all, d.Problems()...)
	}
	slices.SortStableFunc(all, func(a, b Problem) int { return cmp.Compare(a.File, b.File) })
	return all
}

// Count returns the number of usable keys, shared ones counted once, and of domains
// whose keys were not read yet.
func (s *Snapshot) Count() (usable, unread int) {
	for _, d := range s.shards.all() {
		usable += len(d.keys)
		if d.unread != nil {
			unread++
		}
	}
	if s.shared != nil {
		usable += s.shared.keys
	}
	return usable, unread
}

// Read reports whether the files of a domain have been read.
func (s *Snapshot) Read(name string) bool { return s.Domain(name).unread == nil }

// change is a change of a domain. It is put into a snapshot only if the domain is
// still as it was.
type change struct {
	name     string
	was, now *DomainKeys // was is nil for a new domain; an empty now removes it
}

// among reports whether one of these is of the same domain.
func (c change) among(changes []change) bool {
	return slices.ContainsFunc(changes, func(other change) bool { return other.name == c.name })
}

// with returns a snapshot with the changes, and those that are too late. Only
// the shards that change are copied.
func (s *Snapshot) with(changes []change) (after *Snapshot, late []change) {
	next := *s
	var own [len(next.shards)]bool
	for _, c := range changes {
		if s.shards.find(c.name) != c.was {
			late = append(late, c)
			continue
		}
		i := shardOf(c.name)
		if !own[i] {
			own[i], next.shards[i] = true, maps.Clone(next.shards[i])
		}
		if c.now.empty() {
			delete(next.shards[i], c.name)
		} else {
			next.shards[i][c.name] = c.now
		}
	}
	return &next, late
}

// shards are the domains by name, in parts so that a change to one domain copies
// few of them.
type shards [256]map[string]*DomainKeys

func newShards() (s shards) {
	for i := range s {
		s[i] = make(map[string]*DomainKeys)
	}
	return s
}

// shardOf returns one byte of the hash FNV-1a.
func shardOf(name string) int {
	hash := uint32(2166136261)
	for i := range len(name) {
		hash = (hash ^ uint32(name[i])) * 16777619
	}
	return int(hash>>24 ^ hash&0xff)
}

func (s *shards) of(name string) map[string]*DomainKeys { return s[shardOf(name)] }

func (s *shards) find(name string) *DomainKeys { return s.of(name)[name] }

// all yields every domain.
func (s *shards) all() func(yield func(string, *DomainKeys) bool) {
	return func(yield func(string, *DomainKeys) bool) {
		for _, shard := range s {
			for name, d := range shard {
				if !yield(name, d) {
					return
				}
			}
		}
	}
}
