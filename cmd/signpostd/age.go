package main

import (
	"context"
	"log/slog"
	"time"

	"signpost/keystore/rotation"
)

// Once a day is often enough for what takes a year, and the first time is when
// the keys of most directories have been read.
const (
	firstAgeCheck = time.Minute
	ageCheckEach  = 24 * time.Hour
)

// watchAge warns of old keys until ctx ends.
func watchAge(ctx context.Context, book *rotation.Book, most time.Duration, log *slog.Logger) {
	for pause := firstAgeCheck; ; pause = ageCheckEach {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			warnOfAge(book, most, log)
		}
	}
}

// warnOfAge says in one line how many keys sign for too long. Zero is never.
func warnOfAge(book *rotation.Book, most time.Duration, log *slog.Logger) {
	if most == 0 {
		return
	}
	if n, oldest := book.Aged(most, time.Now()); n > 0 {
		log.Warn("signing keys are old", "keys", n, "limit", most, "oldest", oldest.File,
			"made", oldest.ModTime.UTC().Format(time.DateOnly),
			"hint", "rotate them, see signpost rotate --status --all")
	}
}
