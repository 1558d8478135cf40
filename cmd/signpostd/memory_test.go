package main

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"signpost/keystore"
)

// With many domains garbage is a small part of what lives, and while their keys are read not
// more than those will take.
func TestGarbagePercent(t *testing.T) {
	for _, test := range []struct{ domains, unread, least, most int }{
		{0, 0, 50, 50},
		{1000, 0, 50, 50},
		{100_000, 0, 10, 10},
		{100_000, 100_000, 100, 150},
		{100_000, 50_000, 30, 50},
		{100_000, 1, 10, 10},
		{999_999, 999_999, 100, 150},
	} {
		if got := garbagePercent(test.domains, test.unread); got < test.least || got > test.most {
			t.Errorf("%d domains, %d unread: %d%%, want %d to %d", test.domains, test.unread, got, test.least, test.most)
		}
	}
}

// What reading very many keys took is given back, once, when all were read.
func TestMemoryIsGivenBack(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	dir := t.TempDir()
	seed := []byte(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	for i := range manyUnread + 1 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("d%d.example.private", i)), seed, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, err := keystore.Open(keystore.Options{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := newMemory(store)
	if !m.giveBack.IsZero() {
		t.Error("it is given back before the keys were read")
	}
	store.ReadAll()
	if m.settle(); m.giveBack.IsZero() || m.percent != 50 {
		t.Errorf("all keys were read: given back at %v, %d%% of garbage", m.giveBack, m.percent)
	}
	m.giveBack, m.revision = time.Time{}, -1
	if m.settle(); !m.giveBack.IsZero() {
		t.Error("it is given back again")
	}
}
