package keystore

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// watched has nudge called for domains with new keys. It is called before Watch.
func (s *Store) watched(nudge func(names ...string)) { s.nudge = nudge }

// learn takes a clear answer of the DNS about a key, and says what comes of it.
func (s *Store) learn(name string, key *Key, answer dns.KeyAnswer) {
	d := s.Snapshot().shards.find(name)
	if d == nil {
		return
	}
	unlock := s.loader.lock(name)
	was := d.state.Load()
	if was.marks == nil {
		unlock()
		return
	}
	now := s.loader.learned(was, key, answer.Presence)
	d.state.Store(now)
	unlock()
	s.changed.Store(true)
	s.revision.Add(1)
	before := dns.Unknown
	if at := was.index(key); at >= 0 {
		before = was.marks[at].presence
	}
	if before != answer.Presence {
		s.logPresence(now, key, before, answer)
	}
	s.logSigners(name, was, now)
}

// logPresence says that the DNS says something else of a key than before.
func (s *Store) logPresence(now *state, key *Key, before dns.Presence, answer dns.KeyAnswer) {
	attrs := []any{"domain", key.Domain, "selector", key.Selector}
	if answer.Presence == dns.There {
		level := slog.LevelInfo
		if before == dns.Unknown && s.Snapshot().Len() > few && slices.ContainsFunc(now.signing, key.Equal) {
			level = slog.LevelDebug // so it should be, and there are many
		}
		s.log.Log(context.Background(), level, "key is published", append(attrs, "dns", answer.Text)...)
		return
	}
	attrs = append(attrs, "name", record.Name(key.Selector, key.Domain), "dns", answer.Text)
	if want, err := record.ForKey(key.Signer.Public()); err == nil {
		attrs = append(attrs, "value", want.String())
	}
	switch signs := slices.ContainsFunc(now.signing, key.Equal); {
	case signs && before == dns.There:
		s.log.Error("the record of the key that signs is gone, and no other key is published, so its mail cannot be verified; hint: publish it again", attrs...)
	case signs:
		s.log.Warn("the key that signs is not published, so its mail cannot be verified; hint: publish its record", attrs...)
	case before == dns.There:
		s.log.Warn("the record of a key is gone", attrs...)
	default:
		s.log.Info("key waits until its record is published; hint: publish it", attrs...)
	}
}

// Remember keeps the state directory up to date until ctx ends. Without one it
// does nothing.
func (s *Store) Remember(ctx context.Context) {
	if s.loader.State == "" {
		return
	}
	failing := false
	save := func() (took time.Duration) {
		// Until all has been read the file knows more than we do.
		if s.loader.remembered.Load() != nil || !s.changed.Swap(false) {
			return 0
		}
		start := time.Now()
		err := s.Snapshot().remember(s.loader.State)
		switch {
		case err != nil && !failing:
			s.log.Error("what is known of the keys is not kept over a restart", "err", err)
		case err == nil && failing:
			s.log.Info("what is known of the keys is kept again", "state", s.loader.State)
		}
		if failing = err != nil; failing {
			s.changed.Store(true)
		}
		return time.Since(start)
	}
	for pause := saveSoon; ; {
		select {
		case <-ctx.Done():
			save()
			return
		case <-time.After(pause):
			pause = max(saveSoon, idle*save())
		}
	}
}
