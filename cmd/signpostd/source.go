package main

import (
	"crypto"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"signpost/keystore"
	"signpost/keystore/libcrypto"
	"signpost/keystore/record"
	"signpost/milter"
	"signpost/milter/status"
)

// source shows the keys and the server to package status.
type source struct {
	settings *settings
	store    *keystore.Store
	server   *milter.Server
	serving  atomic.Bool // between the start and the end of serving

	mu       sync.Mutex
	indexed  *keystore.Snapshot // that index and problems are of
	unread   int                // domains that were not read then
	index    *status.Index
	problems map[string][]keystore.Problem // by domain
}

func (s *source) status(started time.Time, listen []string) *status.Source {
	return &status.Source{
		Version:  version,
		RSA:      libcrypto.Name(),
		Started:  started,
		Listen:   listen,
		NotReady: s.notReady,
		Index:    s.currentIndex,
		Domain:   s.domain,
		Sessions: s.server.Sessions,
		Refused:  s.server.Counters().Refused,
		Reloads:  s.store.Reloads,
	}
}

// notReady says which domains that must be signed cannot be, and whether the
// milter takes connections.
func (s *source) notReady() (reasons []string, unsignable int) {
	if !s.serving.Load() {
		reasons = append(reasons, "the milter does not take connections: it starts or stops")
	}
	if open, _ := s.server.Sessions(); open >= s.settings.limits.Connections {
		reasons = append(reasons, fmt.Sprintf("the milter takes no more connections: %d are open; hint: raise --max-connections", open))
	}
	keys := s.store.Snapshot()
	for _, domain := range s.settings.Domains {
		if _, _, err := s.settings.Rules.Keys(domain, keys); err != nil {
			reasons = append(reasons, fmt.Sprintf("%s: %v", domain, err))
			unsignable++
		}
	}
	return reasons, unsignable
}

// known returns the domain whose keys or setting a message from an author
// domain falls under.
func (s *source) known(author string) (string, bool) {
	return s.settings.Rules.Covering(author, s.store.Snapshot())
}

// currentIndex returns the index of the keys in force, made anew when they are
// others than the last time.
func (s *source) currentIndex() *status.Index {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indexKeys(s.store.Snapshot())
	return s.index
}

func (s *source) problemsOf(name string, keys *keystore.Snapshot) []keystore.Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indexKeys(keys)
	return s.problems[name]
}

// indexKeys makes the index of the keys, unless it is there already. The lock
// is held.
func (s *source) indexKeys(keys *keystore.Snapshot) {
	_, unread := keys.Count()
	if keys == s.indexed && unread == s.unread {
		return
	}
	s.problems = make(map[string][]keystore.Problem)
	for _, p := range keys.Problems() {
		s.problems[p.Domain] = append(s.problems[p.Domain], p)
	}
	names := slices.Concat(keys.Domains(), s.settings.Domains)
	slices.Sort(names)
	names = slices.Compact(names)
	s.index = status.NewIndex(func(yield func(status.Summary) bool) {
		var stages []status.Stage
		for _, name := range names {
			if !keys.Read(name) {
				// To read all at once would take minutes: what is wrong shows as they are read.
				if !yield(status.Summary{Name: name}) {
					return
				}
				continue
			}
			signing, _, err := s.settings.Rules.Keys(name, keys)
			sum := status.Summary{Name: name, Stages: stages[:0]}
			for _, key := range keys.Keys(name) {
				sum.Stages = append(sum.Stages, stageOf(key, signing))
			}
			for _, p := range s.problems[name] {
				if !p.InForce {
					sum.Stages = append(sum.Stages, status.Broken)
				}
			}
			if err != nil || len(s.problems[name]) > 0 {
				sum.Attention = status.Urgent
			}
			if stages = sum.Stages; !yield(sum) {
				return
			}
		}
	})
	s.indexed, s.unread = keys, unread
}

// stageOf says at which stage a usable key is. Without the DNS check the newest
// signs, so those that do not have signed before.
func stageOf(key *keystore.Key, signing []*keystore.Key) status.Stage {
	if slices.Contains(signing, key) {
		return status.Active
	}
	return status.Retiring
}

// domain returns what there is to show of a domain.
func (s *source) domain(name string) (status.Domain, bool) {
	keys := s.store.Snapshot()
	must := s.settings.Rules.MustSign[name]
	signing, _, err := s.settings.Rules.Keys(name, keys)
	d := status.Domain{Name: name, Must: must, Keys: []status.Key{}}
	if err != nil && must {
		d.Problems = append(d.Problems, fmt.Sprintf("its mail is refused for now: %v", err))
	}
	for _, key := range slices.Backward(keys.Keys(name)) {
		d.Keys = append(d.Keys, shownKey(key, stageOf(key, signing)))
	}
	for _, p := range s.problemsOf(name, keys) {
		if p.InForce {
			d.Problems = append(d.Problems, p.String())
			continue
		}
		d.Keys = append(d.Keys, status.Key{File: p.File, Stage: status.Broken, Failure: p.Err.Error()})
	}
	return d, must || len(d.Keys) > 0
}

func shownKey(key *keystore.Key, stage status.Stage) status.Key {
	shown := status.Key{
		Selector:   key.Selector,
		Algorithm:  string(key.Algorithm),
		Bits:       key.Bits,
		File:       key.File,
		Stage:      stage,
		Made:       key.ModTime,
		RecordName: record.Name(key.Selector, key.Domain),
	}
	if value, err := record.ForKey(crypto.PublicKey(key.Signer.Public())); err == nil {
		shown.RecordValue = value.String()
	}
	return shown
}
