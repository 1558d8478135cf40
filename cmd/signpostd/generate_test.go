package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/backendtest"
)

// Keys are made in a store for domains that have none, by one of several; and none is where
// the store does not say what it has.
func TestGenerateInAStore(t *testing.T) {
	t.Parallel()
	store := new(backendtest.Memory)
	store.PutEntry("broken.example", keystore.Entry{Selector: "s1", Data: []byte("no key")})
	var s settings.Daemon
	s.Keys.Sources = []settings.Source{{Backend: store}}
	s.Domains = []string{"broken.example", "new.example"}
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	down := errors.New("it is down")
	store.Before = func(context.Context, string) error { return down }
	if err := generate(t.Context(), &s, log); err != nil || store.Calls("Add") > 0 ||
		!strings.Contains(text.String(), "it is down") {
		t.Fatalf("of a store that is down: %v, %d keys\n%s", err, store.Calls("Add"), &text)
	}
	store.Before = nil
	text.Reset()
	for range 2 {
		if err := generate(t.Context(), &s, log); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := store.Read(t.Context(), s.Domains)
	if err != nil || len(entries[0]) != 1 || len(entries[1]) != 1 || entries[1][0].Selector != "mail" {
		t.Errorf("%v, %v", entries, err)
	}
	if n := strings.Count(text.String(), `msg="new key made" domain=new.example selector=mail file="memory: `); n != 1 {
		t.Errorf("%d keys are told:\n%s", n, &text)
	}
}
