package redis

import (
	"context"
	"crypto"
	"encoding/base64"
	"fmt"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/redis/internal/resp"
)

// selectScript selects a key, if the selector is still the one in ARGV[2] and the key in
// KEYS[2] has still the value in ARGV[5].
const selectScript = `if (redis.call('HGET',KEYS[1],ARGV[1]) or '')~=ARGV[2] then return 0 end
if redis.call('HGET',KEYS[2],ARGV[4])~=ARGV[5] then return 0 end
if KEYS[3] then redis.call('HSET',KEYS[3],ARGV[1],ARGV[6]) end
redis.call('HSET',KEYS[1],ARGV[1],ARGV[3])
return 1`

// swapScript is selectScript of one hash alone.
const swapScript = `if (redis.call('HGET',KEYS[1],ARGV[1]) or '')~=ARGV[2] then return 0 end
redis.call('HSET',KEYS[1],ARGV[1],ARGV[3])
return 1`

var _ keystore.Selecting = (*Backend)(nil)

// Select makes rspamd sign with a key of a domain, and mailcow show its record: in
// DKIM_SELECTORS and DKIM_PUB_KEYS, or the hash of rspamd's selector_prefix. Where there is no
// such hash, rspamd signs with the selector in its configuration, and there is nothing to
// do. In a Cluster the selector changes last.
func (b *Backend) Select(ctx context.Context, domain, selector string) error {
	return b.explain(b.choose(ctx, domain, selector))
}

func (b *Backend) choose(ctx context.Context, domain, selector string) error {
	h, _, err := b.layout(ctx)
	if err != nil {
		return err
	}
	if h.selectors, err = b.usedSelectors(ctx, h); err != nil || h.selectors == "" {
		return err
	}
	was, _, err := b.field(ctx, h.selectors, domain)
	if err != nil {
		return err
	}
	field := selector + "." + domain
	values, err := b.values(ctx, h.keys, resp.Command{"HMGET", h.keys, field, was + "." + domain}, 2)
	if err != nil {
		return err
	}
	value := values[0]
	defer clear(value)
	defer clear(values[1])
	if value == nil {
		return finding.WithHint(fmt.Errorf("%s %s: no such key", h.keys, field), "see signpost keys")
	}
	signer, err := keystore.ParsePrivate(value)
	if err != nil {
		return fmt.Errorf("%s %s: %w", h.keys, field, err)
	}
	public, err := publicText(signer.Public())
	if err != nil {
		return err
	}
	if chosen, err := keystore.ParsePrivate(values[1]); err == nil && was != selector {
		now, _ := keystore.Describe(chosen)
		if next, _ := keystore.Describe(signer); now != next {
			return nil // there is one selector, and it is for the keys of another type
		}
	}
	keys := []string{h.selectors, h.keys}
	if h.public != "" {
		keys = append(keys, h.public)
	}
	var ok bool
	if b.servers.kind != cluster {
		ok, err = b.script(ctx, selectScript, keys, domain, was, selector, field, value, public)
	} else {
		if h.public != "" {
			if _, err := b.number(ctx, h.public, true, resp.Command{"HSET", h.public, domain, public}); err != nil {
				return err
			}
		}
		ok, err = b.script(ctx, swapScript, keys[:1], domain, was, selector)
	}
	if err == nil && !ok {
		err = finding.WithHint(fmt.Errorf("%s %s: %w", h.selectors, domain, keystore.ErrConflict), "do it again")
	}
	return err
}

// publicText is p= of a key.
func publicText(public crypto.PublicKey) (string, error) {
	r, err := record.ForKey(public)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(r.PublicKey), nil
}
