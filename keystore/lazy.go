package keystore

import (
	"context"
	"time"
)

// few is up to how many domains are all read at the start and named in the log. With
// more that would take too long: the directory is only listed, and the keys of a
// domain are read on first use, or in the background.
const few = 1000

// Domain returns the keys of a domain, and reads its files if that was not done
// yet. Only callers that want the same domain wait for the disk.
func (s *Store) Domain(name string) *DomainKeys {
	d := s.Snapshot().Domain(name)
	if d.unread == nil {
		return d
	}
	s.comesFirst()
	defer s.comesFirst()
	// A fault in it reaches all that wait, and the next one reads again.
	read, _, _ := s.reads.Do(name, func() (any, error) { return s.readDomain(name), nil })
	return read.(*DomainKeys)
}

// readDomain reads the files of a domain for the first time, and returns its keys.
func (s *Store) readDomain(name string) *DomainKeys {
	for {
		was := s.Snapshot().Domain(name)
		if was.unread == nil {
			return was // somebody else was first
		}
		now := s.source.read(name, *was.unread, was, nil)
		if len(s.replace([]change{{name, was, now}}, nil)) == 0 {
			s.logProblems(nil, now.Problems())
			return now
		}
	}
}

// ReadAll reads all domains that were not read yet.
func (s *Store) ReadAll() {
	eachShard(s.Snapshot().Len(), func(i int) {
		var changes []change
		for name, d := range s.Snapshot().shards[i] {
			if d.unread != nil {
				changes = append(changes, change{name, d, s.source.read(name, *d.unread, d, nil)})
			}
		}
		s.firstRead(changes)
	})
	s.allRead()
}

// firstRead puts in force domains that were read for the first time.
func (s *Store) firstRead(changes []change) {
	if len(changes) == 0 {
		return
	}
	late := s.replace(changes, nil)
	for _, c := range changes {
		if !c.among(late) {
			s.logProblems(nil, c.now.Problems())
		}
	}
	for _, c := range late {
		s.Domain(c.name)
	}
}

// readInBackground reads all domains that were not read yet, with at most half of a
// processor, and after those that messages wait for.
func (s *Store) readInBackground(ctx context.Context) {
	if s.loaded.Load() {
		return
	}
	start, n := time.Now(), 0
	for i := range len(shards{}) {
		var changes []change
		for name, d := range s.Snapshot().shards[i] {
			if d.unread == nil {
				continue
			}
			changes = append(changes, change{name, d, s.source.read(name, *d.unread, d, nil)})
			if n++; n%portion == 0 {
				s.firstRead(changes)
				if s.giveWay(ctx, time.Since(start)); ctx.Err() != nil {
					return
				}
				start, changes = time.Now(), changes[:0]
			}
		}
		s.firstRead(changes)
	}
	s.allRead()
}

// Reading in the background pauses after each portion of domains: until no message has come
// first for calm, but no longer than patient, for there may always be one.
const (
	portion = 20 // some 10 ms
	calm    = 20 * time.Millisecond
	patient = time.Second
)

// comesFirst notes that a message waits for keys that were not read yet, or did just now.
func (s *picture) comesFirst() {
	now := time.Now()
	s.first.Store(&now)
}

// giveWay pauses for as long as reading took, and while messages come first.
func (s *picture) giveWay(ctx context.Context, took time.Duration) {
	for began := time.Now(); ctx.Err() == nil; {
		passed := time.Since(began)
		wait := took - passed
		if first := s.first.Load(); first != nil {
			wait = max(wait, calm-time.Since(*first))
		}
		if wait <= 0 || passed >= max(took, patient) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// allRead logs what was read, and calls the observer.
func (s *Store) allRead() {
	s.picture.allRead()
	s.reload.Lock()
	defer s.reload.Unlock()
	s.tellStrays()
}

// allRead logs what was read, and calls the observer.
func (s *picture) allRead() {
	s.loaded.Store(true)
	if s.onReadAll != nil {
		s.onReadAll()
	}
	snapshot := s.Snapshot()
	usable, _ := snapshot.Count()
	if snapshot.Len() <= few {
		for _, name := range snapshot.Domains() {
			for _, key := range snapshot.Keys(name) {
				logKey(s.log, "key loaded", key)
			}
		}
	}
	s.log.Info("keys loaded", "keys", s.name, "domains", snapshot.Len(),
		"usable", usable, "broken", len(snapshot.Problems()))
}
