package keystore

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
)

// Store keeps the current snapshot of a key directory. Reading it takes no
// lock, so that a reload never holds a message up.
type Store struct {
	options Options
	log     *slog.Logger
	current atomic.Pointer[Snapshot]
	reload  sync.Mutex // one reload at a time
	failing string     // the error of the last reload, "" when it went well
}

// Open loads the key directory for the first time and logs what is wrong in it.
func Open(options Options, log *slog.Logger) (*Store, error) {
	s := &Store{options: options, log: log}
	snapshot, err := Load(options, nil)
	if err != nil {
		return nil, err
	}
	s.current.Store(snapshot)
	logProblems(log, &Snapshot{}, snapshot)
	s.logLoaded(snapshot)
	return s, nil
}

// logLoaded names the keys, where they are few enough to be read.
func (s *Store) logLoaded(snapshot *Snapshot) {
	const few = 100
	logged := 0
	for _, name := range snapshot.Domains() {
		for _, key := range snapshot.Keys(name) {
			if logged++; logged <= few {
				logKey(s.log, "key loaded", key)
			}
		}
	}
	s.log.Info("keys loaded", "keys", s.options.Dir, "domains", len(snapshot.domains), "usable", logged,
		"broken", len(snapshot.problems))
}

// Snapshot returns what is in force now.
func (s *Store) Snapshot() *Snapshot { return s.current.Load() }

// Reload reads what has changed in the directory and puts it in force. When the
// directory itself cannot be read all keys stay in force; that is logged once.
func (s *Store) Reload() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	before := s.current.Load()
	after, err := Load(s.options, before)
	if err != nil {
		if err.Error() != s.failing {
			s.log.Error("keys not reloaded, those in force stay", "err", err)
			s.failing = err.Error()
		}
		return err
	}
	if s.failing != "" {
		s.log.Info("the key directory can be read again", "keys", s.options.Dir)
		s.failing = ""
	}
	// In force first and then said, so that a reader of the log can rely on it.
	s.current.Store(after)
	logProblems(s.log, before, after)
	logChanges(s.log, before, after)
	return nil
}

// logChanges says which keys came, changed and went.
func logChanges(log *slog.Logger, before, after *Snapshot) {
	for _, name := range after.Domains() {
		for _, key := range after.Keys(name) {
			switch old := before.find(key); {
			case old == nil:
				logKey(log, "key added", key)
			case !old.Equal(key):
				logKey(log, "key replaced", key)
			}
		}
	}
	for _, name := range after.Domains() {
		was, is := before.signers(name), after.signers(name)
		if was != "" && is != "" && was != is {
			log.Info("other keys sign now", "domain", name, "before", was, "now", is)
		}
	}
	for _, name := range before.Domains() {
		for _, key := range before.Keys(name) {
			if after.find(key) == nil {
				log.Info("key removed", "domain", key.Domain, "selector", key.Selector, "file", key.File)
			}
		}
	}
}

// signers names the selectors that sign for a domain.
func (s *Snapshot) signers(name string) string {
	keys, _ := s.Signing(name)
	selectors := make([]string, len(keys))
	for i, key := range keys {
		selectors[i] = key.Selector
	}
	return strings.Join(selectors, ",")
}

// find returns the key that the snapshot has under the name of key, if any.
func (s *Snapshot) find(key *Key) *Key {
	for _, have := range s.Keys(key.Domain) {
		if have.Selector == key.Selector {
			return have
		}
	}
	return nil
}

func logKey(log *slog.Logger, message string, key *Key) {
	attrs := []any{"domain", key.Domain, "selector", key.Selector,
		"type", key.Algorithm, "bits", key.Bits, "file", key.File}
	if key.Algorithm == RSA && key.Bits < WeakBits {
		log.Warn(message+", but it is weak; hint: make a new one of 2048 bits", attrs...)
		return
	}
	log.Info(message, attrs...)
}

// logProblems says each problem when it first shows, and once more when it is
// gone, not at every reload.
func logProblems(log *slog.Logger, before, after *Snapshot) {
	known := make(map[string]bool)
	for _, p := range before.Problems() {
		known[p.String()] = true
	}
	broken := make(map[string]bool)
	for _, p := range after.Problems() {
		broken[p.File] = true
		if !known[p.String()] {
			log.Error("key broken", "domain", p.Domain, "file", p.File, "err", p.Err, "last good stays", p.InForce)
		}
	}
	for _, p := range before.Problems() {
		if !broken[p.File] {
			log.Info("key no longer broken", "domain", p.Domain, "file", p.File)
		}
	}
}
