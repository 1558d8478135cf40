package rotation

import (
	"math/rand/v2"
	"time"

	"signpost/keystore"
)

// sweep goes over all domains again and again, each once in lazyPause, and once
// at first as fast as it goes.
type sweep struct {
	store *keystore.Store
	names []string // still to come of this round
	last  time.Time
	fast  bool
}

// due returns the domains whose turn has come.
func (s *sweep) due(now time.Time, hurry bool) []string {
	if hurry {
		s.names, s.fast = s.store.Snapshot().Domains(), true
	}
	if len(s.names) == 0 {
		s.names, s.fast = s.store.Snapshot().Domains(), false
		rand.Shuffle(len(s.names), func(i, j int) { s.names[i], s.names[j] = s.names[j], s.names[i] })
		s.last = now
	}
	n := len(s.names)
	if s.fast {
		n = min(n, askers)
	} else {
		total := s.store.Snapshot().Len()
		n = min(n, int(int64(total)*int64(now.Sub(s.last))/int64(lazyPause)))
		if n == 0 {
			return nil
		}
	}
	due := s.names[:n]
	s.names, s.last = s.names[n:], now
	return due
}
