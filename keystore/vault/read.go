package vault

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// Read returns the keys of domains, up to 16 requests at once. The first error ends it.
func (b *Backend) Read(ctx context.Context, domains []string) ([][]keystore.Entry, error) {
	m, err := b.where(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	seen := b.seen
	b.mu.Unlock()
	found := make([][]keystore.Entry, len(domains))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(most)
	for i, domain := range domains {
		group.Go(func() (err error) {
			found[i], err = b.readDomain(ctx, m, &seen, domain)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		for _, entries := range found {
			for _, e := range entries {
				clear(e.Data)
			}
		}
		return nil, err
	}
	return found, nil
}

// readDomain reads what is where the layout has it. Where the layout is not told, it begins
// with what the store has of others: nothing there is proven by both only.
func (b *Backend) readDomain(ctx context.Context, m *mount, seen *shape, domain string) ([]keystore.Entry, error) {
	name := seen.spelling(domain)
	object := func() ([]keystore.Entry, error) { return b.readObject(ctx, m, domain, name) }
	folder := func() ([]keystore.Entry, error) { return b.readFolder(ctx, m, name) }
	switch b.address.layout {
	case Rspamd, Mailu:
		return object()
	case KumoMTA:
		return folder()
	}
	first, second := object, folder
	if seen.folders && !seen.objects {
		first, second = folder, object
	}
	one, err := first()
	if err != nil || len(one) > 0 && seen.folders != seen.objects {
		return one, err
	}
	two, err := second()
	if err != nil {
		wipe(one)
		return nil, err
	}
	return append(one, two...), nil
}

func wipe(entries []keystore.Entry) {
	for _, e := range entries {
		clear(e.Data)
	}
}

// readObject reads the secret of a domain, rspamd's or a single key.
func (b *Backend) readObject(ctx context.Context, m *mount, domain, name string) ([]keystore.Entry, error) {
	s, err := b.get(ctx, m, m.secret(name))
	if err != nil || s.data == nil {
		return nil, err
	}
	defer clear(s.data)
	place := b.place(name, "")
	o, err := parseObject(s.data)
	if err != nil {
		return []keystore.Entry{{Place: place, Err: err}}, nil
	}
	defer o.wipe()
	switch {
	case o.selectors != nil:
		return o.entries(domain, place), nil
	case o.fields["key"] != nil:
		e := kumoEntry(s, b.address.selector, place)
		if e.Selector == "" {
			clear(e.Data)
			e.Data, e.Err = nil, finding.WithHint(errors.New("the secret has a key, and no selector"),
				"set ?selector=NAME in the URL, or keep the key at %s/<selector>", place)
		}
		return []keystore.Entry{e}, nil
	case len(o.fields) == 0:
		return nil, nil // all were archived
	}
	return []keystore.Entry{{Place: place, Err: finding.WithHint(
		errors.New("the secret has neither selectors, as rspamd's, nor a key, as KumoMTA's"),
		"keep secrets that are no DKIM keys in another path")}}, nil
}

// readFolder reads the keys in the folder of a domain.
func (b *Backend) readFolder(ctx context.Context, m *mount, name string) ([]keystore.Entry, error) {
	var selectors []string
	err := b.names(ctx, m, m.list(name), func(selector string) {
		if !strings.HasSuffix(selector, "/") {
			selectors = append(selectors, selector)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(selectors)
	var entries []keystore.Entry
	for _, selector := range selectors {
		place := b.place(name, "/%s", selector)
		if _, err := keystore.Selector(selector); err != nil {
			entries = append(entries, keystore.Entry{Selector: selector, Place: place, Err: err})
			continue
		}
		s, err := b.get(ctx, m, m.secret(name, selector))
		if err != nil {
			wipe(entries)
			return nil, err
		}
		if s.data == nil {
			continue
		}
		if e := kumoEntry(s, selector, place); e.Data != nil || e.Err != nil {
			entries = append(entries, e)
		}
		clear(s.data)
	}
	return entries, nil
}
