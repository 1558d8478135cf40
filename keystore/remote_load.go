package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"signpost/keystore/finding"
)

// LoadRemote reads the keys of these domains from a store that is reached over the
// network; without any, all that it lists. What is wrong with single keys is in Problems;
// the error is for the store itself.
func LoadRemote(ctx context.Context, backend Backend, options Options, domains ...string) (*Snapshot, error) {
	r := newRemote(backend, options, slog.New(slog.DiscardHandler))
	fail := func(err error) (*Snapshot, error) {
		if errors.Is(err, ErrNoList) {
			err = finding.WithHint(err, "name the domains")
		}
		return nil, fmt.Errorf("reading the keys of %s: %w", r.name, err)
	}
	all := len(domains) == 0
	if all {
		if err := backend.List(ctx, func(domain, _ string) { domains = append(domains, domain) }); err != nil {
			return fail(err)
		}
	}
	s := &Snapshot{shards: newShards()}
	if all {
		s.invalid = ignored(backend)
	}
	for batch := range slices.Chunk(domains, readAtOnce) {
		entries, err := r.read(ctx, batch)
		if err != nil {
			return fail(err)
		}
		for i, name := range batch {
			if d := r.domainOf(name, entries[i], nil, notListed, false); !d.empty() {
				s.shards.of(name)[name] = d
			}
		}
	}
	return s, nil
}
