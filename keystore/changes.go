package keystore

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// logChange logs which keys of a domain were added, replaced and removed, and calls
// the observer.
func (s *picture) logChange(name string, was, now *DomainKeys) {
	added := false
	for _, key := range now.keys {
		switch old := was.find(key); {
		case old == nil && was.neverRead(key):
			// Of a great many one does not say each.
		case old == nil:
			logKey(s.log, "key added", key)
		case !slices.ContainsFunc(was.keys, key.Equal):
			logKey(s.log, "key replaced", key)
		default:
			continue
		}
		added = true
	}
	if s.onChange != nil {
		s.onChange(name, added)
	}
	for _, key := range was.keys {
		if now.find(key) == nil {
			s.log.Info("key removed", "domain", key.Domain, "selector", key.Selector, "file", key.File)
		}
	}
}

func logKey(log *slog.Logger, message string, key *Key) {
	attrs := []any{"domain", key.Domain, "selector", key.Selector,
		"type", key.Algorithm, "bits", key.Bits, "file", key.File}
	if key.Algorithm == RSA && key.Bits < WeakBits {
		log.Warn(message+", but it is weak", append(attrs, "hint", "make a new one of 2048 bits")...)
		return
	}
	log.Info(message, attrs...)
}

// neverRead reports whether the file of a key had gone before anybody read it.
func (d *DomainKeys) neverRead(key *Key) bool {
	return slices.ContainsFunc(d.files, func(f *file) bool { return f.neverRead() && strings.HasPrefix(key.File, f.File) })
}

// logProblems logs each problem once, not at every reload, and once more when it is
// gone. Of files that went missing before they were read, Store.tell says how many.
func (s *picture) logProblems(was, now []Problem) {
	untold := func(p Problem) bool { return errors.Is(p.Err, errNeverRead) }
	was = slices.DeleteFunc(slices.Clone(was), untold)
	now = slices.DeleteFunc(slices.Clone(now), untold)
	known := make(map[string]bool, len(was))
	for _, p := range was {
		known[finding.Text(p)] = true
	}
	broken := make(map[string]bool, len(now))
	for _, p := range now {
		broken[p.File] = true
		if !known[finding.Text(p)] {
			s.log.Error("key broken",
				"domain", p.Domain, "file", p.File, finding.Attr(p.Err), "inforce", p.InForce)
		}
	}
	for _, p := range was {
		if !broken[p.File] {
			s.log.Info("key no longer broken", "domain", p.Domain, "file", p.File)
		}
	}
}
