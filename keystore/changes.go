package keystore

import (
	"log/slog"
	"slices"
)

// logChange says which keys of a domain came, changed and went, and reports
// whether there are new ones.
func (s *Store) logChange(name string, was, now *state) (news bool) {
	for _, key := range now.keys {
		switch old := was.find(key); {
		case old == nil:
			logKey(s.log, "key added", key)
		case !slices.ContainsFunc(was.keys, key.Equal):
			logKey(s.log, "key replaced", key)
		default:
			continue
		}
		news = true
	}
	s.logSigners(name, was, now)
	for _, key := range was.keys {
		if now.find(key) == nil {
			s.log.Info("key removed", "domain", key.Domain, "selector", key.Selector, "file", key.File)
		}
	}
	return news
}

func (s *Store) logSigners(name string, was, now *state) {
	if before, after := was.signers(), now.signers(); before != "" && after != "" && before != after {
		s.log.Info("other keys sign now", "domain", name, "before", before, "now", after)
	}
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
func (s *Store) logProblems(was, now []Problem) {
	known := make(map[string]bool, len(was))
	for _, p := range was {
		known[p.String()] = true
	}
	broken := make(map[string]bool, len(now))
	for _, p := range now {
		broken[p.File] = true
		if !known[p.String()] {
			s.log.Error("key broken", "domain", p.Domain, "file", p.File, "err", p.Err, "last good stays", p.InForce)
		}
	}
	for _, p := range was {
		if !broken[p.File] {
			s.log.Info("key no longer broken", "domain", p.Domain, "file", p.File)
		}
	}
}
