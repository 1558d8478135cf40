package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// hashes are the names of a layout.
type hashes struct {
	keys      string // field <selector>.<domain>: the private key
	selectors string // field <domain>: the selector that rspamd signs with
	public    string // field <domain>: p= for mailcow's page; "" in rspamd's layout
	retired   string // field <selector>.<domain>: keys that nobody signs with
	notes     string // field <domain>: how far a rotation is
}

// The usual names: mailcow's, those of rspamd's dkim_signing.conf, and those that its module
// has without one.
var usual = [...]hashes{
	{keys: "DKIM_PRIV_KEYS", selectors: "DKIM_SELECTORS", public: "DKIM_PUB_KEYS"},
	{keys: "DKIM_KEYS", selectors: "DKIM_SELECTORS"},
	{keys: "dkim_keys", selectors: "dkim_selectors"},
}

// complete adds the names that are Signpost's own.
func (h hashes) complete() hashes {
	h.retired, h.notes = "signpost:retired", "signpost:rotation"
	if !slices.ContainsFunc(usual[:], func(u hashes) bool { return u.keys == h.keys }) {
		h.retired += ":" + h.keys
		h.notes += ":" + h.keys
	}
	return h
}

// layouts is which layout a store has.
type layouts struct {
	mu    sync.Mutex
	found *hashes
}

// layout returns the names of the store; false where nothing is there yet that would say
// which. Where the URL says whose the keys are, the names are those that new keys get.
func (b *Backend) layout(ctx context.Context) (hashes, bool, error) {
	b.layouts.mu.Lock()
	found := b.layouts.found
	b.layouts.mu.Unlock()
	if found != nil {
		return *found, true, nil
	}
	h, ok, err := b.detect(ctx)
	if err == nil && ok {
		h = h.complete()
		b.layouts.mu.Lock()
		b.layouts.found = &h
		b.layouts.mu.Unlock()
	}
	return h, ok, err
}

func (b *Backend) detect(ctx context.Context) (hashes, bool, error) {
	c := b.servers.config
	candidates := usual[:]
	switch {
	case c.layout == layoutMailcow:
		return usual[0], true, nil
	case c.prefix != "":
		h := hashes{keys: c.prefix, selectors: c.selectors}
		for _, u := range usual {
			if h.selectors == "" && u.keys == h.keys {
				h.selectors = u.selectors
			}
		}
		return h, true, nil
	case c.layout == layoutRspamd:
		candidates = usual[1:]
	}
	var there []hashes
	var refused error
	for _, h := range candidates {
		replies, err := b.servers.do(ctx, h.keys, false, resp.Command{"EXISTS", h.keys})
		var said resp.Error
		if errors.As(err, &said) && strings.HasPrefix(string(said), "NOPERM") {
			refused = err // the user may have the rights for one layout alone
			continue
		}
		if err != nil {
			return hashes{}, false, err
		}
		if n, err := resp.Int(replies[0]); err != nil {
			return hashes{}, false, err
		} else if n > 0 {
			there = append(there, h)
		}
	}
	switch {
	case len(there) > 1:
		var all []string
		for _, h := range there {
			all = append(all, h.keys)
		}
		return hashes{}, false, finding.WithHint(fmt.Errorf("it has several hashes of keys: %s", strings.Join(all, ", ")),
			"say which: ?layout=mailcow, or ?layout=rspamd&prefix=%s", all[len(all)-1])
	case len(there) == 1:
		if c.selectors != "" {
			there[0].selectors = c.selectors
		}
		return there[0], true, nil
	}
	if c.layout == layoutRspamd && refused == nil {
		h := usual[1]
		if c.selectors != "" {
			h.selectors = c.selectors
		}
		return h.complete(), false, nil
	}
	return hashes{}, false, refused
}
