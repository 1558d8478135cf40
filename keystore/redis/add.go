package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// addScript stores a key under a free name, and for a domain that has no selector yet its
// own, with the public half for mailcow's page. 0 is a name that is taken.
const addScript = `if redis.call('HSETNX',KEYS[1],ARGV[1],ARGV[2])==0 then return 0 end
if KEYS[2] and redis.call('HSETNX',KEYS[2],ARGV[3],ARGV[4])==1 and KEYS[3] then
redis.call('HSET',KEYS[3],ARGV[3],ARGV[5]) end
return 1`

// Add stores a key. In mailcow's layout, and in rspamd's where there is a hash of selectors,
// the first key of a domain is selected, too: rspamd signs with it from now on. Another key
// is not, until Select. On one server it is one step; the hashes of a Cluster may be on several
// nodes, so the private key is written first and the selector last, and whoever reads in
// between finds no selector, as before.
//
// In rspamd's layout with the usual names the hash of selectors is used only where it exists.
func (b *Backend) Add(ctx context.Context, domain, selector string, key []byte, made time.Time) (string, error) {
	place, err := b.add(ctx, domain, selector, key, made)
	b.names.written()
	if err != nil {
		return "", b.explain(err)
	}
	return place, nil
}

func (b *Backend) add(ctx context.Context, domain, selector string, pem []byte, made time.Time) (string, error) {
	h, ok, err := b.layout(ctx)
	if err != nil {
		return "", err
	}
	if !ok && h.keys == "" {
		return "", finding.WithHint(errors.New("there are no keys yet, and so no layout"),
			"say in the URL whose it is: ?layout=mailcow or ?layout=rspamd")
	}
	public, err := publicHalf(pem)
	if err != nil {
		return "", err
	}
	if h.selectors, err = b.usedSelectors(ctx, h); err != nil {
		return "", err
	}
	if strings.Contains(selector, ".") {
		if err := b.checkDotted(ctx, h, domain, selector); err != nil {
			return "", err
		}
	}
	value := bytes.TrimSpace(pem)
	if !made.IsZero() {
		value = fmt.Appendf(bytes.Clone(value), "\n%s%s\n", madePrefix, made.UTC().Format(time.RFC3339))
		defer clear(value)
	}
	field := selector + "." + domain
	place := b.place(h.keys, field)
	added, err := b.addInto(ctx, h, field, value, domain, selector, public)
	if err != nil {
		return "", err
	}
	if !added {
		return "", finding.WithHint(fmt.Errorf("%s %s: %w", h.keys, field, fs.ErrExist),
			"nothing is ever overwritten; choose another selector")
	}
	return place, nil
}

func (b *Backend) addInto(ctx context.Context, h hashes, field string, value []byte,
	domain, selector, public string) (bool, error) {
	if b.servers.kind != cluster {
		keys := []string{h.keys}
		if h.selectors != "" {
			keys = append(keys, h.selectors)
			if h.public != "" {
				keys = append(keys, h.public)
			}
		}
		return b.script(ctx, addScript, keys, field, value, domain, selector, public)
	}
	added, err := b.number(ctx, h.keys, true, resp.Command{"HSETNX", h.keys, field, value})
	if err != nil || added == 0 || h.selectors == "" {
		return added == 1, err
	}
	if h.public != "" {
		there, err := b.number(ctx, h.selectors, false, resp.Command{"HEXISTS", h.selectors, domain})
		if err != nil || there == 1 {
			return true, err
		}
		if _, err := b.number(ctx, h.public, true, resp.Command{"HSET", h.public, domain, public}); err != nil {
			return true, err
		}
	}
	_, err = b.number(ctx, h.selectors, true, resp.Command{"HSETNX", h.selectors, domain, selector})
	return true, err
}

// usedSelectors returns the hash of selectors where it is used: mailcow's always, rspamd's
// where the URL names it or it exists.
func (b *Backend) usedSelectors(ctx context.Context, h hashes) (string, error) {
	if h.selectors == "" || h.public != "" || b.servers.config.selectors != "" {
		return h.selectors, nil
	}
	there, err := b.number(ctx, h.selectors, false, resp.Command{"EXISTS", h.selectors})
	if err != nil || there == 0 {
		return "", err
	}
	return h.selectors, nil
}

// checkDotted refuses a selector with dots that would be read as another name: only the
// selector that is selected may have some.
func (b *Backend) checkDotted(ctx context.Context, h hashes, domain, selector string) error {
	if h.selectors != "" {
		selected, _, err := b.field(ctx, h.selectors, domain)
		if err != nil {
			return err
		}
		if selected == "" || selected == selector {
			return nil
		}
	}
	return finding.WithHint(fmt.Errorf("invalid selector %q: in Redis it would be read as %q of another domain",
		selector, selector[:strings.IndexByte(selector, '.')]), "use a selector without dots")
}

func publicHalf(pem []byte) (string, error) {
	signer, err := keystore.ParsePrivate(pem)
	if err != nil {
		return "", err
	}
	return publicText(signer.Public())
}
