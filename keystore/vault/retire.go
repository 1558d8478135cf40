package vault

import (
	"cmp"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"signpost/keystore"
)

// ourFolder is below the path of the keys, where the policies of their users reach. No domain
// has such a name, so no layout has keys there.
const ourFolder = "signpost"

// retired is a key that nobody signs with any more.
type retired struct {
	Domain   string          `json:"domain"`
	Selector string          `json:"selector"`
	Key      json.RawMessage `json:"key"` // as it was
	Retired  moment          `json:"retired"`
}

// Retire moves a key to signpost/retired/<domain>/<selector> below the path, with a number
// where there is a key of that name.
func (b *Backend) Retire(ctx context.Context, key *keystore.Key) (string, error) {
	if err := b.writable(); err != nil {
		return "", err
	}
	m, err := b.where(ctx)
	if err != nil {
		return "", err
	}
	name := b.spelling(key.Domain)
	var place string
	keep := func(data text) error {
		place, err = b.keepRetired(ctx, m, key, data)
		return err
	}
	folder, object := m.secret(name, key.Selector), m.secret(name)
	switch {
	case key.File == b.place(name, ""):
		err = b.emptySecret(ctx, m, object, key, keep)
	case key.File == b.place(name, "/%s", key.Selector) || b.address.layout == KumoMTA:
		err = b.emptySecret(ctx, m, folder, key, keep)
	default:
		err = b.removeElement(ctx, m, name, key, keep)
	}
	return place, err
}

// Archived reports whether a key of that name is where Retire moves them.
func (b *Backend) Archived(ctx context.Context, domain, selector string) (bool, error) {
	if b.address.layout == Mailu {
		return false, nil
	}
	m, err := b.where(ctx)
	if err != nil {
		return false, err
	}
	have, err := b.get(ctx, m, m.secret(ourFolder, "retired", domain, selector))
	clear(have.data)
	return have.data != nil, err
}

// removeElement takes a key out of rspamd's secret.
func (b *Backend) removeElement(ctx context.Context, m *mount, name string, key *keystore.Key,
	keep func(text) error) error {
	return b.change(ctx, m, name, func(o *object, again bool) error {
		for i, raw := range o.selectors {
			e, err := parseElement(raw)
			defer clear(e.Key)
			if err != nil || e.Selector != key.Selector {
				continue
			}
			if err := b.same(key, e.Key); err != nil {
				return err
			}
			if err := keep(e.Key); err != nil {
				return err
			}
			o.selectors = slices.Delete(o.selectors, i, i+1)
			return nil
		}
		if again {
			return errDone
		}
		return fmt.Errorf("key %s: %w", cmp.Or(key.File, b.place(name, " selector %s", key.Selector)), fs.ErrNotExist)
	})
}

// emptySecret takes the key out of a secret of KumoMTA.
func (b *Backend) emptySecret(ctx context.Context, m *mount, path string, key *keystore.Key,
	keep func(text) error) error {
	was, err := b.get(ctx, m, path)
	if err != nil {
		return err
	}
	defer clear(was.data)
	var e keystore.Entry
	if was.data != nil {
		e = kumoEntry(was, key.Selector, key.File)
	}
	defer clear(e.Data)
	if e.Data == nil && e.Err == nil {
		return fmt.Errorf("key %s: %w", key.File, fs.ErrNotExist)
	}
	if err := errors.Join(e.Err, b.same(key, e.Data)); err != nil {
		return err
	}
	if err := keep(e.Data); err != nil {
		return err
	}
	return b.put(ctx, m, path, nil, was)
}

// same returns an error where the store has another key than the one that is meant.
func (b *Backend) same(key *keystore.Key, data []byte) error {
	there, err := keystore.ParsePrivate(data)
	if err != nil {
		return fmt.Errorf("key %s: %w", key.File, err)
	}
	public, ok := there.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Signer.Public()) {
		return fmt.Errorf("key %s: %w: %w", key.File, errOther, keystore.ErrConflict)
	}
	return nil
}

var errOther = errors.New("another key has taken its name")

// keepRetired writes a key to where retired ones are, and returns its place. A key that is
// there already is not written again.
func (b *Backend) keepRetired(ctx context.Context, m *mount, key *keystore.Key, data text) (string, error) {
	quoted := encode(data)
	body := encode(retired{Domain: key.Domain, Selector: key.Selector, Key: quoted, Retired: moment(time.Now().Unix())})
	clear(quoted)
	defer clear(body)
	for n := 1; ; n++ {
		selector := key.Selector
		if n > 1 {
			selector = fmt.Sprintf("%s.%d", key.Selector, n)
		}
		path := m.secret(ourFolder, "retired", key.Domain, selector)
		place := b.place(ourFolder, "/retired/%s/%s", key.Domain, selector)
		have, err := b.get(ctx, m, path)
		if err != nil {
			return "", err
		}
		if have.data == nil {
			err = b.put(ctx, m, path, body, have)
			if errors.Is(err, keystore.ErrConflict) {
				continue // another has it by now
			}
			return place, err
		}
		there := kumoEntry(have, selector, place)
		clear(have.data)
		known := there.Data != nil && b.same(key, there.Data) == nil
		clear(there.Data)
		if known {
			return place, nil
		}
	}
}
