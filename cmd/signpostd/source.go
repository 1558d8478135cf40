package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/libcrypto"
	"signpost/keystore/record"
	"signpost/milter"
	"signpost/milter/status"
)

// source shows the keys and the server to package status.
type source struct {
	settings *settings.Daemon
	store    *keystore.Store
	server   *milter.Server
	checker  *keystore.Checker // nil when the DNS is not asked
	serving  atomic.Bool       // between the start and the end of serving

	mu       sync.Mutex
	indexed  int64         // the revision that index and problems are of
	at       time.Time     // when they were made
	took     time.Duration // and how long that took
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
		Misfits:  s.misfits,
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
	if open, _ := s.server.Sessions(); open >= s.settings.Limits.Connections {
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

// misfits says what is wrong with files that belong to no domain.
func (s *source) misfits() (texts []string) {
	for _, p := range s.problemsOf("", s.store.Snapshot()) {
		texts = append(texts, p.String())
	}
	return texts
}

// indexPause is how many times longer than an index takes to make it stays: while
// a hundred thousand domains are asked for in the DNS something changes all the time.
const indexPause = 50

// indexKeys makes the index of the keys, unless there is one that is new enough. The
// lock is held.
func (s *source) indexKeys(keys *keystore.Snapshot) {
	revision := s.store.Revision()
	start := time.Now()
	if s.index != nil && (revision == s.indexed || start.Sub(s.at) < indexPause*s.took) {
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
		var stages []keystore.Stage
		now := time.Now()
		for _, name := range names {
			if !keys.Read(name) {
				// To read all at once would take minutes: what is wrong shows as they are read.
				if !yield(status.Summary{Name: name}) {
					return
				}
				continue
			}
			_, _, err := s.settings.Rules.Keys(name, keys)
			sum := status.Summary{Name: name, Stages: stages[:0]}
			for _, key := range keys.Status(name, now) {
				sum.Stages = append(sum.Stages, key.Stage)
				sum.Attention = max(sum.Attention, attention(key))
			}
			for _, p := range s.problems[name] {
				if !p.InForce {
					sum.Stages = append(sum.Stages, keystore.Broken)
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
	s.indexed, s.at = revision, time.Now()
	s.took = s.at.Sub(start)
}

// attention says whether somebody should look at a key: at one that signs and
// that nobody can verify, or at one that waits.
func attention(key keystore.Status) status.Attention {
	switch {
	case key.Stage == keystore.Active && key.Presence == dns.Missing:
		return status.Urgent
	case key.Stage == keystore.Pending || key.Stage == keystore.Retired:
		return status.Waits
	}
	return status.Fine
}

// domain returns what there is to show of a domain.
func (s *source) domain(name string) (status.Domain, bool) {
	keys := s.store.Snapshot()
	must := s.settings.Rules.MustSign[name]
	_, _, err := s.settings.Rules.Keys(name, keys)
	d := status.Domain{Name: name, Must: must, Keys: []status.Key{}}
	if err != nil && must {
		d.Problems = append(d.Problems, fmt.Sprintf("its mail is refused for now: %v", err))
	}
	said, next := s.said(name)
	for _, key := range slices.Backward(keys.Status(name, time.Now())) {
		d.Keys = append(d.Keys, shownKey(key, said[key.Selector], next))
	}
	for _, p := range s.problemsOf(name, keys) {
		if p.InForce {
			d.Problems = append(d.Problems, p.String())
			continue
		}
		d.Keys = append(d.Keys, status.Key{File: p.File, Stage: keystore.Broken, Failure: p.Err.Error()})
	}
	return d, must || len(d.Keys) > 0
}

// said returns what the DNS said of the keys of a domain that is not settled.
func (s *source) said(name string) (map[string]dns.KeyAnswer, time.Time) {
	if s.checker == nil {
		return nil, time.Time{}
	}
	return s.checker.Said(name)
}

// shownKey says what there is to say of a key, of which the DNS said that last, if
// it is not settled.
func shownKey(key keystore.Status, said dns.KeyAnswer, next time.Time) status.Key {
	shown := status.Key{
		Selector:   key.Selector,
		Algorithm:  string(key.Algorithm),
		Bits:       key.Bits,
		File:       key.File,
		Stage:      key.Stage,
		Since:      key.Since,
		Made:       key.ModTime,
		Checked:    key.Asked,
		Next:       next,
		RecordName: record.Name(key.Selector, key.Domain),
		Publish:    key.Stage == keystore.Pending || key.Stage == keystore.Active && key.Presence == dns.Missing,
		Advice:     advice(key),
	}
	switch {
	case said.Presence == dns.Unknown:
		shown.Failure = said.Text
		if key.Presence == dns.There {
			shown.Evidence = "published"
		}
	default:
		shown.Evidence = said.Text
	}
	if value, err := record.ForKey(key.Signer.Public()); err == nil {
		shown.RecordValue = value.String()
	}
	return shown
}

// advice says what to do next about a key.
func advice(key keystore.Status) string {
	switch {
	case key.Stage == keystore.Active && key.Presence == dns.Missing:
		return "publish this record: nobody can verify the mail that this key signs"
	case key.Stage == keystore.Pending:
		return "publish this record; the key signs as soon as it is seen"
	case key.Stage == keystore.Retiring:
		return "leave its record in the DNS until " + key.Since.Add(keystore.Overlap).UTC().Format(time.DateOnly)
	case key.Stage == keystore.Retired:
		return "move the file away and take its record out of the DNS: signpost rotate --finish " + key.Domain
	}
	return ""
}
