package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/place"
	"signpost/keystore/report/tally"
	"signpost/keystore/rotation"
)

// loadKeys reads the keys of the domains that are told of, and of those that signed for
// them. Reports are told without keys too, so an error is a warning.
func (r *reportReader) loadKeys() {
	var names []string
	for _, domain := range r.about() {
		names = append(names, domain)
		for walked := range dns.Walk(domain) {
			names = append(names, walked)
		}
		for _, s := range r.tally.Selectors(domain, r.settings.Question(r.now)) {
			if name, err := keystore.Domain(s.Domain); err == nil && strings.HasSuffix(name, "."+domain) {
				names = append(names, name)
			}
		}
	}
	switch {
	case r.c.IsSet("keys") && r.domains == nil:
		names = nil // all that there are
	case len(names) == 0:
		return // nothing to tell of
	}
	r.keys, r.keysErr = loadMore(r.c, nil, names)
	usual := settings.Named("keys")
	switch {
	case r.keysErr == nil:
	case r.c.String("keys") == usual.Default && errors.Is(r.keysErr, fs.ErrNotExist):
		// Who reads reports on another host has none, and the answer says so.
	default:
		warn(r.c, "%w", finding.WithHint(fmt.Errorf("the selectors are not compared with keys at hand: %s", r.keysErr),
			"--keys says where they are"))
	}
}

// mostRecalled bounds the selectors of a domain that are looked for among archived keys:
// whoever signs writes what they like.
const mostRecalled = 100

// askKeys adds the keys at hand to a question, with their stages.
func (r *reportReader) askKeys(domain string, q *tally.Question) {
	if r.keysErr != nil || r.keys.Snapshot == nil {
		return
	}
	names := []string{domain}
	for name := range dns.Walk(domain) {
		if name != domain {
			names = append(names, name)
		}
	}
	for _, name := range r.keys.Domains() {
		if strings.HasSuffix(name, "."+domain) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		q.Keys = append(q.Keys, r.keysOf(name)...)
	}
	q.KeysKnown = len(q.Keys) > 0
	if !q.KeysKnown {
		return
	}
	for i, s := range r.tally.Selectors(domain, *q) {
		if i == mostRecalled {
			break
		}
		if s.Foreign && r.archived(s.Domain, s.Selector) {
			q.Keys = append(q.Keys, tally.Key{Domain: s.Domain, Selector: s.Selector, Stage: "archived"})
		}
	}
}

// keysOf returns the keys of one domain.
func (r *reportReader) keysOf(name string) (keys []tally.Key) {
	list := r.keys.Domain(name).List()
	if len(list) == 0 {
		return nil
	}
	if r.resolver == nil {
		for _, key := range list { // which of several signs only the DNS says
			keys = append(keys, tally.Key{Domain: name, Selector: key.Selector, Signs: len(list) == 1})
		}
		return keys
	}
	look := rotation.Look{Place: r.keys.place, Mode: r.keys.mode, Ask: rotation.Cached(r.resolver), Now: r.now}
	answered, err := look.Domain(r.c.Context, name, list)
	if err != nil {
		warn(r.c, "%s: %w", name, err)
	}
	for _, a := range answered {
		keys = append(keys, tally.Key{Domain: name, Selector: a.Selector, Stage: string(a.Stage), Signs: a.Signs})
	}
	return keys
}

// archived reports whether a key was ours and was archived, or is there and cannot be used.
func (r *reportReader) archived(domain, selector string) bool {
	domain, errDomain := keystore.Domain(domain)
	selector, errSelector := keystore.Selector(selector)
	if errDomain != nil || errSelector != nil {
		return false
	}
	use, err := r.keys.place.Used(r.c.Context, domain, selector)
	return err == nil && use != place.Free
}
