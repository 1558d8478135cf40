package main

import (
	"context"
	"log/slog"
	"slices"

	"signpost/cmd/internal/settings"
	"signpost/cmd/signpostd/internal/confine"
	"signpost/keystore"
	"signpost/keystore/finding"
)

// openSources opens the places of keys. A directory that cannot be read is an error; a
// store that does not answer is not, for it may later.
func openSources(ctx context.Context, keys *settings.Keys, log *slog.Logger) (keystore.Source, error) {
	var sources []keystore.Source
	for _, source := range keys.Sources {
		if source.Backend != nil {
			sources = append(sources, keystore.OpenRemote(ctx, source.Backend, keys.Options, log))
			continue
		}
		store, err := keystore.Open(keys.In(source.Dir), log)
		if err != nil {
			return nil, err
		}
		sources = append(sources, store)
	}
	return keystore.Join(sources, log), nil
}

// unanswered logs which stores have not answered yet, and returns how many.
func unanswered(source keystore.Source, log *slog.Logger) (n int) {
	for _, answer := range source.Answers() {
		if !answer.Listed && answer.Err != nil {
			n++
			log.Error("the key store does not answer, mail whose keys are not known is deferred until it does",
				"keys", answer.Store, finding.Attr(answer.Err))
		}
	}
	return n
}

// keyPlaces returns what is read and connected to for keys.
func keyPlaces(keys *settings.Keys) (places []string) {
	for _, source := range keys.Sources {
		if source.Dir != "" {
			places = append(places, confine.KeyPlaces(source.Dir)...)
		}
		if store, ok := source.Backend.(keystore.Reaching); ok {
			places = append(places, confine.FilePlaces(store.Files()...)...)
			places = append(places, confine.FilePlaces("/etc/ssl/certs", "/etc/ssl/cert.pem")...)
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// cachePlaces returns what is read beside the directory of the local copy.
func cachePlaces(keys *settings.Keys) []string {
	if keys.Cache == "" || keys.CacheKey == "" {
		return nil
	}
	return confine.FilePlaces(keys.CacheKey)
}

// storePorts returns the ports that stores are reached at; all is for any.
func storePorts(keys *settings.Keys) (ports []uint16, all bool) {
	for _, source := range keys.Sources {
		if source.Backend == nil {
			continue
		}
		var own []uint16
		if store, ok := source.Backend.(keystore.Reaching); ok {
			own = store.Ports()
		}
		ports, all = append(ports, own...), all || own == nil
	}
	return ports, all
}
