package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/place"
	"signpost/keystore/record"
)

// generate makes keys for the domains that have none in any layout, and the
// missing record of those that have one in the flat layout. It fails if there is no
// usable key after that.
func generate(ctx context.Context, s *settings.Daemon, log *slog.Logger) error {
	if len(s.Domains) == 0 {
		log.Warn("DKIM_AUTOGENERATE is on and ALLOWED_SENDER_DOMAINS is empty, so no key is made")
		return nil
	}
	keys := s.Keys.Place()
	present, err := keys.Load(ctx, s.Domains...)
	switch {
	case err != nil && storesKeys(&s.Keys):
		// Whether there are keys is not known, and may be later.
		log.Error("no key is made, for what keys there are is not known", finding.Attr(err))
		return nil
	case err != nil:
		return err
	case s.Keys.Sources[0].Backend != nil:
		makeInStore(ctx, s, keys, present, log)
		return nil
	}
	var failed error
	for _, domain := range s.Domains {
		if ctx.Err() != nil {
			return nil // told to stop, and serving will see that too
		}
		missing := errors.Is(present.Domain(domain).Err(), keystore.ErrNoKey)
		if !missing && !recordMissing(s.Keys.Dir, domain) {
			continue
		}
		selector := s.Keys.Selectors.For(domain)
		made, err := keystore.Generate(s.Keys.Dir, domain, selector)
		if err != nil && missing {
			log.Error("cannot make a key", "domain", domain, finding.Attr(err))
			failed = cmp.Or(failed, err)
			continue
		}
		if made.New {
			logMade(log, keystore.Order{Domain: domain, Selector: selector}, made.File, made.Record)
		}
		if err = cmp.Or(err, made.RecordErr); err != nil {
			log.Warn("cannot write the record of a key", "domain", domain, finding.Attr(err))
		}
	}
	if failed == nil {
		return nil
	}
	if _, err := keys.Any(ctx); err != nil {
		return failed
	}
	return nil // the keys that are there sign
}

// storesKeys reports whether keys are in a store that is reached over the network.
func storesKeys(keys *settings.Keys) bool {
	return slices.ContainsFunc(keys.Sources, func(s settings.Source) bool { return s.Backend != nil })
}

// makeInStore makes keys in a store for the domains that have none. Several signpostd may
// do this at once.
func makeInStore(
	ctx context.Context, s *settings.Daemon, keys place.Place, present *keystore.Snapshot, log *slog.Logger,
) {
	for _, domain := range s.Domains {
		if ctx.Err() != nil || !errors.Is(present.Domain(domain).Err(), keystore.ErrNoKey) {
			continue
		}
		made, err := keys.Make(ctx, keystore.Order{Domain: domain, Selector: s.Keys.Selectors.For(domain),
			Algorithm: keystore.RSA, Bits: keystore.WeakBits})
		switch {
		case errors.Is(err, fs.ErrExist): // another was first
		case err != nil:
			log.Error("cannot make a key", "domain", domain, finding.Attr(err))
		default:
			logMade(log, made.Order, made.File, made.Record)
		}
	}
}

func logMade(log *slog.Logger, order keystore.Order, file string, dkim record.DKIM) {
	log.Info("new key made", "domain", order.Domain, "selector", order.Selector, "file", file)
	log.Info("publish this DNS record", "name", record.Name(order.Selector, order.Domain), "type", "TXT",
		"value", dkim.String())
}

// recordMissing reports whether the domain has a key in the flat layout and no
// record beside it.
func recordMissing(dir, domain string) bool {
	_, keyErr := os.Stat(filepath.Join(dir, domain+".private"))
	_, txtErr := os.Stat(filepath.Join(dir, domain+".txt"))
	return keyErr == nil && errors.Is(txtErr, fs.ErrNotExist)
}
