package place

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// store is a store that is reached over the network.
type store struct {
	backend patient
	options keystore.Options
}

// Patient returns a store that gives up where there is no answer for long.
func Patient(backend keystore.Backend) keystore.Backend { return patient{backend, patience} }

// Store returns a store that is reached over the network. It reads no more than it is asked
// for, and gives up on a store that does not answer.
func Store(backend keystore.Backend, options keystore.Options) Place {
	return store{patient{backend, patience}, options}
}

func (s store) Name() string { return s.backend.Name() }

func (s store) Load(ctx context.Context, domains ...string) (*keystore.Snapshot, error) {
	return keystore.LoadRemote(ctx, s.backend, s.options, domains...)
}

func (s store) Domains(ctx context.Context) (names []string, err error) {
	err = s.backend.List(ctx, func(domain, _ string) { names = append(names, domain) })
	slices.Sort(names)
	return names, err
}

// Any looks at some keys: that of all none is usable is not worth the time.
func (s store) Any(ctx context.Context) (string, error) {
	const most = 100
	listing, enough := context.WithCancel(ctx)
	defer enough()
	var names []string
	err := s.backend.List(listing, func(domain, _ string) {
		if len(names) < most {
			names = append(names, domain)
		} else {
			enough()
		}
	})
	switch {
	case err != nil && len(names) < most:
		return "", err
	case len(names) == 0:
		return "", keystore.ErrNoKey
	}
	snapshot, err := s.Load(ctx, names...)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if len(snapshot.Keys(name)) > 0 {
			return name, nil
		}
	}
	if problems := snapshot.Problems(); len(problems) > 0 {
		return "", fmt.Errorf("no key in %s is usable: %w", s.Name(), problems[0])
	}
	return "", keystore.ErrNoKey
}

func (s store) Where(domain, selector string) (string, bool) {
	return s.Name() + ": " + selector + "." + domain, false
}

func (s store) Make(ctx context.Context, order keystore.Order) (keystore.Made, error) {
	made := keystore.Made{Order: order}
	// The key is made before anybody waits for the store.
	key, record, err := keystore.NewPrivate(order)
	if err != nil {
		return made, err
	}
	defer clear(key)
	if order.Made.IsZero() {
		order.Made = time.Now()
	}
	made.Record = record
	made.File, err = s.Install(ctx, order.Domain, order.Selector, key, order.Made)
	return made, err
}

func (s store) Install(
	ctx context.Context, domain, selector string, key []byte, made time.Time,
) (string, error) {
	// Not all programs that share a store read what ParsePrivate does.
	block, err := keystore.PEM(key)
	if err != nil {
		return "", err
	}
	defer clear(block)
	return s.backend.Add(ctx, domain, selector, block, made)
}

func (s store) Retire(ctx context.Context, key *keystore.Key) (string, error) {
	return s.backend.Retire(ctx, key)
}

func (s store) Select(ctx context.Context, domain, selector string) error {
	return s.backend.Select(ctx, domain, selector)
}

func (s store) Secret(ctx context.Context, key *keystore.Key) ([]byte, error) {
	entries, err := s.read(ctx, key.Domain)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(e keystore.Entry) bool { return e.Place == key.File })
	var data []byte
	if i >= 0 {
		data = bytes.Clone(entries[i].Data)
	}
	for _, entry := range entries {
		clear(entry.Data)
	}
	if i < 0 {
		return nil, finding.WithHint(fmt.Errorf("key %s was taken away in the meantime", key.File), "do it again")
	}
	return data, sameKey(key, data)
}

func (s store) Used(ctx context.Context, domain, selector string) (Use, error) {
	entries, err := s.read(ctx, domain)
	if err != nil {
		return Free, err
	}
	use := Free
	for _, entry := range entries {
		clear(entry.Data)
		if entry.Selector == selector {
			use = Present
		}
	}
	if use == Free {
		if archived, err := s.backend.Archived(ctx, domain, selector); err != nil || archived {
			return Archived, err
		}
	}
	return use, nil
}

func (s store) read(ctx context.Context, domain string) ([]keystore.Entry, error) {
	answer, err := s.backend.Read(ctx, []string{domain})
	if err != nil {
		return nil, err
	}
	return answer[0], nil
}

func (s store) NotesName(domain string) string { return s.Name() + ": the notes of " + domain }

func (s store) Notes(ctx context.Context, domain string) ([]byte, string, error) {
	return s.backend.Notes(ctx, domain)
}

func (s store) WriteNotes(ctx context.Context, domain string, notes []byte, revision string) (string, error) {
	if err := s.backend.WriteNotes(ctx, domain, notes, revision); err != nil {
		return "", err
	}
	// A store does not tell the new revision, and somebody may have been there since.
	now, revision, err := s.backend.Notes(ctx, domain)
	if err == nil && !bytes.Equal(now, notes) {
		err = fmt.Errorf("%s: the notes of %s: %w", s.Name(), domain, keystore.ErrConflict)
	}
	return revision, err
}
