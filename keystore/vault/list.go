package vault

import (
	"context"
	"fmt"
	"strings"

	"signpost/keystore"
)

// List calls found for every domain that has a secret or a folder of its name. The versions
// are "": a list does not tell them. For Mailu the error is keystore.ErrNoList.
func (b *Backend) List(ctx context.Context, found func(domain, version string)) error {
	if b.address.layout == Mailu {
		return keystore.ErrNoList
	}
	seen, err := b.look(ctx, func(domain string) { found(domain, "") })
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.seen = seen
	b.mu.Unlock()
	return nil
}

// look lists the path, and notes what is there.
func (b *Backend) look(ctx context.Context, found func(domain string)) (shape, error) {
	m, err := b.where(ctx)
	if err != nil {
		return shape{}, err
	}
	seen := shape{listed: true, spelled: map[string]string{}}
	both := map[string]bool{} // domains with a secret, while both are in one list
	err = b.names(ctx, m, m.list(), func(name string) {
		name, folder := strings.CutSuffix(name, "/")
		domain, err := keystore.Domain(name)
		if err != nil || folder && b.address.layout == Rspamd || !folder && b.address.layout == KumoMTA {
			return
		}
		known := both[domain]
		if folder {
			seen.folders = true
		} else {
			seen.objects, both[domain] = true, true
		}
		if folder && known {
			return
		}
		if domain != name {
			seen.spelled[domain] = name
		}
		found(domain)
	})
	if err != nil {
		return shape{}, err
	}
	return seen, nil
}

// spelling returns the name of a domain in the store.
func (s *shape) spelling(domain string) string {
	if name, ok := s.spelled[domain]; ok {
		return name
	}
	return domain
}

// place is where something of a domain is, for people.
func (b *Backend) place(name string, rest string, args ...any) string {
	return b.Name() + "/" + name + fmt.Sprintf(rest, args...)
}
