package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// generate makes keys for the domains that have none in any layout, and the
// missing record of those that have one in the flat layout.
func generate(ctx context.Context, s *settings.Daemon, log *slog.Logger) error {
	if len(s.Domains) == 0 {
		log.Warn("DKIM_AUTOGENERATE is on and ALLOWED_SENDER_DOMAINS is empty, so no key is made")
		return nil
	}
	present, err := keystore.LoadDomains(s.Keys.Options, s.Domains)
	if err != nil {
		return err
	}
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
		switch {
		case err != nil && missing:
			return err
		case err != nil:
			log.Warn("cannot write the record of a key", "domain", domain, finding.Attr(err))
		case made.New:
			log.Info("new key made", "domain", domain, "selector", selector, "file", made.File)
			log.Info("publish this DNS record", "name", record.Name(selector, domain), "type", "TXT", "value", made.Record.String())
		}
	}
	return nil
}

// recordMissing reports whether the domain has a key in the flat layout and no
// record beside it.
func recordMissing(dir, domain string) bool {
	_, keyErr := os.Stat(filepath.Join(dir, domain+".private"))
	_, txtErr := os.Stat(filepath.Join(dir, domain+".txt"))
	return keyErr == nil && errors.Is(txtErr, fs.ErrNotExist)
}
