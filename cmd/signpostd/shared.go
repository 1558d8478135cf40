package main

import (
	"log/slog"
	"path/filepath"
	"strings"

	"signpost/cmd/internal/settings"
	"signpost/cmd/signpostd/internal/confine"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/rotation"
)

// openShared adds the keys that any domain may use to a source; it returns nil where there
// are none. Which domains had published them is in the state, and those that must be
// signed are asked about from the start on.
func openShared(s *settings.Daemon, source keystore.Source, log *slog.Logger) (*keystore.Shared, error) {
	if len(s.Shared) == 0 {
		return nil, nil
	}
	keys, err := keystore.LoadShared(s.Shared, s.Keys.Options)
	if err != nil {
		return nil, err
	}
	shared := keystore.NewShared(source, keys, log)
	shared.Pin(s.Domains...)
	if s.State.Dir != "" {
		shared.Restore(rotation.Proven(s.State.Dir, keys.Of(""))...)
	}
	return shared, nil
}

// mostAbove is how many domains above that of an author are looked at for a shared key.
const mostAbove = 4

// wanted has the DNS asked, in the background, whether a domain without a key has published
// a shared one, or with subdomains one above it.
func wanted(shared *keystore.Shared, subdomains bool) func(author string) {
	return func(author string) {
		n := 0
		for name := range dns.Walk(author) {
			if !strings.Contains(name, ".") || n > mostAbove {
				return
			}
			shared.Want(name)
			if n++; !subdomains {
				return
			}
		}
	}
}

// sharedPlaces returns what is read for shared keys: each file, and another that takes its
// place.
func sharedPlaces(keys []keystore.KeyFile) (places []string) {
	for _, key := range keys {
		if dir := filepath.Dir(key.Path); !confine.Shared(dir) {
			places = append(places, confine.KeyPlaces(dir)...)
		} else {
			places = append(places, confine.FilePlaces(key.Path)...)
		}
	}
	return places
}
