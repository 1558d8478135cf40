package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"signpost/cmd/internal/settings"
	"signpost/cmd/signpostd/internal/confine"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/report/tally"
	"signpost/keystore/rotation"
	"signpost/milter/reports"
	"signpost/milter/reports/watch"
)

// watchReports returns what reads the DMARC reports; nil when there are to be none. They
// are for the status page alone.
func watchReports(s *settings.Daemon, store keystore.Source, book *rotation.Book, log *slog.Logger) *watch.Watch {
	switch {
	case s.Reports.Path == "":
		return nil
	case s.HTTP.Network == "":
		log.Warn("the DMARC reports are not read, for there is no status page to show them",
			"reports", s.Reports.Path, "hint", "set --http, or SIGNPOST_HTTP")
		return nil
	}
	c := watch.Config{
		Path: s.Reports.Path, Every: s.Rescan, Days: s.Reports.Days, Limits: reports.DefaultLimits(),
		Known:    func(domain string) bool { return s.Rules.MustSign[domain] || hasKeys(store.Snapshot(), domain) },
		Question: s.Reports.Question,
		Keys:     func(domain string) []tally.Key { return keysOf(domain, store, book) },
		Log:      log,
	}
	if s.Keys.Mode != rotation.Off {
		resolver := *s.DNS.Resolver
		resolver.Limit = rate.NewLimiter(rate.Limit(s.DNS.Rate*reportShare), 1)
		c.Resolver = &resolver
	}
	return watch.New(c)
}

// hasKeys reports whether there are keys for a domain, be they read or not.
func hasKeys(keys *keystore.Snapshot, domain string) bool {
	return !keys.Read(domain) || !errors.Is(keys.Domain(domain).Err(), keystore.ErrNoKey)
}

// keysOf returns the keys of a domain, and of those above and below it: all of them can
// sign in its name.
func keysOf(domain string, store keystore.Source, book *rotation.Book) (keys []tally.Key) {
	names := slices.Collect(dns.Walk(domain))
	if all := store.Snapshot(); all.Len() <= manyDomains {
		for _, name := range all.Domains() {
			if strings.HasSuffix(name, "."+domain) {
				names = append(names, name)
			}
		}
	}
	now := time.Now()
	for _, name := range names {
		for _, key := range book.Status(name, now) {
			keys = append(keys, tally.Key{Domain: name, Selector: key.Selector, Stage: string(key.Stage), Signs: key.Signs})
		}
	}
	return keys
}

// reportShare is the part of --dns-rate that is for names of addresses and for policies.
const reportShare = 0.2

// keyQueries returns how to ask the DNS about keys, with the rest of it.
func keyQueries(s *settings.Daemon) rotation.DNS {
	queries := s.DNS
	if s.Reports.Path != "" && s.HTTP.Network != "" {
		queries.Rate *= 1 - reportShare
	}
	return queries
}

// evidence is what the reports say of keys.
func evidence(s *settings.Daemon, w *watch.Watch) rotation.Evidence {
	least := s.Reports.Thresholds
	return rotation.Evidence{Seen: w.Seen, Reporters: least.Reporters, Messages: least.Messages}
}

// reportPlaces returns what must be readable for the reports: the directory, or a mailbox
// and another that takes its place.
func reportPlaces(s *settings.Daemon) []string {
	path := s.Reports.Path
	if path == "" || s.HTTP.Network == "" {
		return nil
	}
	info, err := os.Stat(path)
	if dir := filepath.Dir(path); err == nil && !info.IsDir() && !confine.Shared(dir) {
		return confine.KeyPlaces(dir)
	}
	return confine.KeyPlaces(path)
}
