package redis

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// dropScript removes a field that still has a value.
const dropScript = `if redis.call('HGET',KEYS[1],ARGV[1])~=ARGV[2] then return 0 end
return redis.call('HDEL',KEYS[1],ARGV[1])`

// dropKeyScript removes the key that still has the value in ARGV[2], and with it the selector
// in KEYS[2] and the public half in KEYS[3], where they are of it.
const dropKeyScript = `if redis.call('HGET',KEYS[1],ARGV[1])~=ARGV[2] then return 0 end
redis.call('HDEL',KEYS[1],ARGV[1])
if KEYS[2] and redis.call('HGET',KEYS[2],ARGV[3])==ARGV[4] then
redis.call('HDEL',KEYS[2],ARGV[3])
if KEYS[3] and redis.call('HGET',KEYS[3],ARGV[3])==ARGV[5] then redis.call('HDEL',KEYS[3],ARGV[3]) end
end
return 1`

// Retire moves a key to the hash signpost:retired, which nobody signs from, and takes away the
// selector and the public half where they are of this key. The copy is made first. Then all
// goes in one step on one server, if the key still has the value that was compared. In a
// Cluster the selector goes first and the key last: what has stopped in between is done again
// by Retire, and a selector that outlived its key would keep Add from selecting another one.
func (b *Backend) Retire(ctx context.Context, key *keystore.Key) (string, error) {
	place, err := b.retire(ctx, key)
	b.names.written()
	if err != nil {
		return "", b.explain(err)
	}
	return place, nil
}

func (b *Backend) retire(ctx context.Context, key *keystore.Key) (string, error) {
	h, _, err := b.layout(ctx)
	if err != nil {
		return "", err
	}
	field := key.Selector + "." + key.Domain
	value, err := b.proven(ctx, h, field, key)
	if err != nil {
		return "", err
	}
	defer clear(value)
	retired, err := b.keep(ctx, h, field, value)
	if err != nil {
		return "", err
	}
	dropped, err := b.drop(ctx, h, key, field, value)
	if err == nil && !dropped {
		err = finding.WithHint(fmt.Errorf("%s %s: %w", h.keys, field, keystore.ErrConflict), "do it again")
	}
	if err != nil {
		return "", err
	}
	return b.place(h.retired, retired), nil
}

// Archived reports whether a key of that name is in the hash signpost:retired.
func (b *Backend) Archived(ctx context.Context, domain, selector string) (bool, error) {
	h, _, err := b.layout(ctx)
	if err != nil {
		return false, b.explain(err)
	}
	n, err := b.number(ctx, h.retired, false, resp.Command{"HEXISTS", h.retired, selector + "." + domain})
	return n == 1, b.explain(err)
}

// proven returns the value of a key, if that has the public half of key.
func (b *Backend) proven(ctx context.Context, h hashes, field string, key *keystore.Key) ([]byte, error) {
	values, err := b.values(ctx, h.keys, resp.Command{"HMGET", h.keys, field}, 1)
	if err != nil {
		return nil, err
	}
	if values[0] == nil {
		return nil, fmt.Errorf("%s %s: %w", h.keys, field, fs.ErrNotExist)
	}
	there, err := keystore.ParsePrivate(values[0])
	if err == nil {
		public, ok := there.Public().(interface{ Equal(crypto.PublicKey) bool })
		if ok && public.Equal(key.Signer.Public()) {
			return values[0], nil
		}
		err = errors.New("another key has taken its name")
	}
	clear(values[0])
	return nil, finding.WithHint(fmt.Errorf("%s %s: %w", h.keys, field, err), "look at it, and do it again")
}

// keep copies a key to the hash of retired ones, with a number where another one has the
// name there.
func (b *Backend) keep(ctx context.Context, h hashes, field string, value []byte) (string, error) {
	for n := 1; ; n++ {
		name := field
		if n > 1 {
			name += "." + strconv.Itoa(n)
		}
		added, err := b.number(ctx, h.retired, true, resp.Command{"HSETNX", h.retired, name, value})
		if err != nil || added == 1 {
			return name, err
		}
		there, err := b.values(ctx, h.retired, resp.Command{"HMGET", h.retired, name}, 1)
		if err != nil {
			return "", err
		}
		same := bytes.Equal(there[0], value)
		clear(there[0])
		if same { // an earlier try came this far
			return name, nil
		}
	}
}

// drop removes a key, with its selector and public half, and reports whether it was still there.
func (b *Backend) drop(ctx context.Context, h hashes, key *keystore.Key, field string, value []byte) (bool, error) {
	public, err := publicText(key.Signer.Public())
	if err != nil {
		return false, err
	}
	if b.servers.kind == cluster {
		if err := b.unselect(ctx, h, key, public); err != nil {
			return false, err
		}
		return b.script(ctx, dropScript, []string{h.keys}, field, value)
	}
	keys := []string{h.keys}
	for _, hash := range []string{h.selectors, h.public} {
		if hash != "" {
			keys = append(keys, hash)
		}
	}
	return b.script(ctx, dropKeyScript, keys, field, value, key.Domain, key.Selector, public)
}

// unselect takes away the public half and the selector of a domain, where they are of a key.
func (b *Backend) unselect(ctx context.Context, h hashes, key *keystore.Key, public string) error {
	if h.selectors == "" {
		return nil
	}
	selected, _, err := b.field(ctx, h.selectors, key.Domain)
	if err != nil || selected != key.Selector {
		return err
	}
	if h.public != "" {
		if _, err := b.script(ctx, dropScript, []string{h.public}, key.Domain, public); err != nil {
			return err
		}
	}
	_, err = b.script(ctx, dropScript, []string{h.selectors}, key.Domain, key.Selector)
	return err
}
