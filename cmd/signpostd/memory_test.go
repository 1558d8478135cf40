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

// What reading very many keys took is given back, once, when all were read. While they are read
// they count one by one, also where there are several sources, whose keys show together at the end.
func TestMemoryIsGivenBack(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	dir := t.TempDir()
	seed := []byte(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	name := func(i int) string { return fmt.Sprintf("d%d.example", i) }
	const all = manyUnread + 1
	for i := range all {
		if err := os.WriteFile(filepath.Join(dir, name(i)+".private"), seed, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	open := func(dir string) keystore.Source {
		store, err := keystore.Open(keystore.Options{Dir: dir}, log)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	for _, others := range [][]keystore.Source{nil, {open(t.TempDir())}} {
		t.Run(fmt.Sprintf("%d others", len(others)), func(t *testing.T) {
			store := open(dir)
			m := newMemory(keystore.Join(append(others, store), log))
			if !m.giveBack.IsZero() {
				t.Error("it is given back before the keys were read")
			}
			first := m.percent
			for i := range all - manyUnread/2 {
				store.Domain(name(i))
			}
			if m.settle(); m.percent >= first || !m.giveBack.IsZero() {
				t.Errorf("most keys were read: %d%% of garbage, and %d%% before; given back at %v", m.percent, first, m.giveBack)
			}
			store.ReadAll()
			if m.settle(); m.giveBack.IsZero() || m.percent != 50 {
				t.Errorf("all keys were read: given back at %v, %d%% of garbage", m.giveBack, m.percent)
			}
			m.giveBack, m.revision = time.Time{}, -1
			if m.settle(); !m.giveBack.IsZero() {
				t.Error("it is given back again")
			}
		})
	}
}
