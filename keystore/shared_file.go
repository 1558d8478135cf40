package keystore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"signpost/keystore/finding"
)

// KeyFile is where a shared key is, and the selector that its records have.
type KeyFile struct{ Selector, Path string }

// SharedKeys are the keys that any domain may use, with the last good version of each
// file.
type SharedKeys struct {
	options Options
	recent  recent
	reading sync.Mutex

	mu    sync.Mutex
	files []*file
}

// LoadShared reads the shared keys, all of which must be usable. Of the options, those
// that say what is required of keys count.
func LoadShared(keys []KeyFile, options Options) (*SharedKeys, error) {
	s := &SharedKeys{options: options}
	for _, key := range keys {
		f := s.options.load(claim{selector: key.Selector}, key.Path, nil, &s.recent)
		if f == nil {
			f = &file{err: errors.New("there is no such file")}
		}
		if f.err != nil {
			return nil, fmt.Errorf("shared key %s: %w", key.Path, f.err)
		}
		s.files = append(s.files, f)
	}
	return s, nil
}

// Of returns the keys as those of a domain, the oldest first.
func (s *SharedKeys) Of(domain string) (keys []*Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		key := f.Key
		key.Domain, key.Shared = domain, true
		keys = append(keys, &key)
	}
	return ByAge(keys)
}

// read reads the files again that have changed, and logs that. It reports whether a key is
// another one than before, and whether what is wrong is.
func (s *SharedKeys) read(log *slog.Logger) (replaced, told bool) {
	s.reading.Lock()
	defer s.reading.Unlock()
	for i := range s.files {
		before := s.files[i] // nobody else changes it
		now := s.options.load(claim{selector: before.Selector}, before.File, before, &s.recent)
		if now == nil {
			now = &file{Key: before.Key, err: finding.WithHint(errors.New("the file is missing"), "put it back")}
			if before.fails(now.err) {
				now = before
			}
		}
		if now == before {
			continue
		}
		s.mu.Lock()
		s.files[i] = now
		s.mu.Unlock()
		other := !now.samePublic(&before.Key)
		switch {
		case now.err != nil:
			log.Error("shared key broken, its last good version stays in force", "selector", now.Selector,
				"file", now.File, finding.Attr(now.err))
		case other:
			logKey(log, "shared key replaced", &now.Key)
		}
		if other || now.ModTime != before.ModTime {
			replaced = true
		}
		if was, ok := before.Signer.(*secret); ok && now.Signer != before.Signer {
			was.wipeUnused() // not before the last domain has done with it
		}
		told = told || (now.err != nil) != (before.err != nil) || now.err != nil && now.err.Error() != before.err.Error()
	}
	return replaced, told
}

// problems returns what is wrong with files.
func (s *SharedKeys) problems() (all []Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if f.err != nil {
			all = append(all, f.problem(f.err, true))
		}
	}
	return all
}
