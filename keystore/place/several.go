package place

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"signpost/keystore"
)

// several are places that are used as one. What is written of a domain goes to the first
// that has keys of it, or to the first of all.
type several struct {
	places []Place

	mu     sync.Mutex
	loaded []*keystore.Snapshot // of the places, when they were read last
	homes  map[string]Place     // of the domains that were read
}

// Join returns places as one.
func Join(places []Place) Place {
	if len(places) == 1 {
		return places[0]
	}
	return &several{places: places, homes: make(map[string]Place)}
}

func (s *several) Name() string {
	var names []string
	for _, p := range s.places {
		names = append(names, p.Name())
	}
	return strings.Join(names, ",")
}

func (s *several) Load(ctx context.Context, domains ...string) (*keystore.Snapshot, error) {
	var loaded []*keystore.Snapshot
	for _, p := range s.places {
		snapshot, err := p.Load(ctx, domains...)
		if err != nil {
			return nil, err
		}
		loaded = append(loaded, snapshot)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = loaded
	for i, snapshot := range slices.Backward(loaded) {
		for _, domain := range snapshot.Domains() {
			s.homes[domain] = s.places[i]
		}
	}
	return keystore.JoinSnapshots(loaded), nil
}

// home returns where the keys of a domain are.
func (s *several) home(domain string) Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.homes[domain]; ok {
		return p
	}
	return s.places[0]
}

// held is a key as one place has it.
type held struct {
	Place
	key *keystore.Key
}

// holders returns the places that have a key, and the key as each has it.
func (s *several) holders(key *keystore.Key) (holders []held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, snapshot := range s.loaded {
		for _, have := range snapshot.Keys(key.Domain) {
			if have.Equal(key) {
				holders = append(holders, held{s.places[i], have})
			}
		}
	}
	return holders
}

func (s *several) Domains(ctx context.Context) (names []string, err error) {
	for _, p := range s.places {
		some, err := p.Domains(ctx)
		if err != nil {
			return nil, err
		}
		names = append(names, some...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (s *several) Any(ctx context.Context) (string, error) {
	failed := keystore.ErrNoKey
	for _, p := range s.places {
		switch name, err := p.Any(ctx); {
		case err == nil:
			return name, nil
		case failed == keystore.ErrNoKey:
			failed = err
		}
	}
	return "", failed
}

func (s *several) Where(domain, selector string) (string, bool) {
	return s.home(domain).Where(domain, selector)
}

func (s *several) Make(ctx context.Context, order keystore.Order) (keystore.Made, error) {
	return s.home(order.Domain).Make(ctx, order)
}

func (s *several) Install(
	ctx context.Context, domain, selector string, key []byte, made time.Time,
) (string, error) {
	return s.home(domain).Install(ctx, domain, selector, key, made)
}

// Retire archives the key wherever it is: where one place keeps it, it signs.
func (s *several) Retire(ctx context.Context, key *keystore.Key) (string, error) {
	var to []string
	for _, holder := range s.holders(key) {
		at, err := holder.Retire(ctx, holder.key)
		if err != nil {
			return "", err
		}
		to = append(to, at)
	}
	if len(to) == 0 {
		return "", errors.New("key " + key.File + " is in no place of keys")
	}
	return strings.Join(to, ", "), nil
}

func (s *several) Select(ctx context.Context, domain, selector string) error {
	return s.home(domain).Select(ctx, domain, selector)
}

func (s *several) Secret(ctx context.Context, key *keystore.Key) ([]byte, error) {
	for _, holder := range s.holders(key) {
		return holder.Secret(ctx, holder.key)
	}
	return nil, errors.New("key " + key.File + " is in no place of keys")
}

func (s *several) Used(ctx context.Context, domain, selector string) (Use, error) {
	use := Free
	for _, p := range s.places {
		switch found, err := p.Used(ctx, domain, selector); {
		case err != nil:
			return Free, err
		case found == Present, use == Free:
			use = found
		}
	}
	return use, nil
}

func (s *several) NotesName(domain string) string { return s.home(domain).NotesName(domain) }

func (s *several) Notes(ctx context.Context, domain string) ([]byte, string, error) {
	return s.home(domain).Notes(ctx, domain)
}

func (s *several) WriteNotes(ctx context.Context, domain string, notes []byte, revision string) (string, error) {
	return s.home(domain).WriteNotes(ctx, domain, notes, revision)
}
