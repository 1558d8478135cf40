package main

import (
	"context"
	"log/slog"
	"time"

	"signpost/keystore"
)

// Once a day is often enough for what takes a year, and the first time is when
// the keys of most directories have been read.
const (
	firstAgeCheck = time.Minute
	ageCheckEach  = 24 * time.Hour
)

// watchAge warns of old keys until ctx ends.
func watchAge(ctx context.Context, store *keystore.Store, most time.Duration, log *slog.Logger) {
	for pause := firstAgeCheck; ; pause = ageCheckEach {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			warnOfAge(store.Snapshot(), most, log)
		}
	}
}

// warnOfAge says in one line how many keys sign for too long. Zero is never.
func warnOfAge(keys *keystore.Snapshot, most time.Duration, log *slog.Logger) {
	if most == 0 {
		return
	}
	if n, oldest := keys.Aged(most, time.Now()); n > 0 {
		log.Warn("keys that sign are old; hint: change them, see signpost rotate --status --all", "keys", n, "older than", most,
			"oldest", oldest.File, "from", oldest.ModTime.UTC().Format(time.DateOnly))
	}
}
