package logins

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signpost/test/lab/testlog"
)

// A file that is written, replaced, or reached by another link is read again. What cannot be
// read is logged once, with its line, and the last good entries stay.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "map")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("old", "a@example.com anna\n")
	if err := os.Symlink("old", path); err != nil {
		t.Fatal(err)
	}
	maps, err := Open("texthash:"+path+" inline:{@x.test=x}", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var log testlog.Log
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		maps.Watch(ctx, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	defer func() { stop(); <-done }()
	await := func(what string, cond func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waited for %s; log: %s", what, log.String())
			}
		}
	}
	owner := func(login string) func() bool {
		return func() bool { return maps.Allow(login, "a", "example.com") }
	}

	write("old", "a@example.com bert\n")
	await("what is written in place", owner("bert"))
	write("new", "a@example.com cora\n")
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	await("what takes its place", owner("cora"))
	write("other", "a@example.com dora\n")
	if err := os.Symlink("other", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "link"), path); err != nil {
		t.Fatal(err)
	}
	await("the target of another link", owner("dora"))

	write("other", "a@example.com eva\nb@example.com\n")
	await("an error", func() bool { return log.Count("stay in force") == 1 })
	if log.Count("map: line 2: ") != 1 || !owner("dora")() {
		t.Errorf("the log does not say what is wrong, or what was good is gone: %s", log.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	await("an error of a missing file", func() bool { return log.Count("no such file") == 1 })
	if !owner("dora")() {
		t.Error("what was good is gone with the file")
	}
	write("map", "a@example.com dora\n")
	await("the end of the error", func() bool { return log.Count("login maps reloaded") == 4 && log.Count("entries=2") == 4 })
	if log.Count("stay in force") != 2 {
		t.Errorf("each error is logged once: %s", log.String())
	}
}

// A change that has the same time and size as what was read is seen when the time is old
// enough to tell; a file that keeps changing is read all the same.
func TestLook(t *testing.T) {
	t.Parallel()
	path := file(t, "a@example.com anna\n")
	maps, err := Open("texthash:"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("a@example.com bert\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, before.ModTime()); err != nil {
		t.Fatal(err)
	}
	w, now, log := watcher{maps: maps, last: maps.loaded.stats}, maps.loaded.at, slog.New(slog.DiscardHandler)
	w.look(stats(maps.Files()), now.Add(recent), log)
	if maps.Allow("bert", "a", "example.com") {
		t.Error("it is read before it can have changed unseen")
	}
	w.look(stats(maps.Files()), now.Add(recent+interval), log)
	if !maps.Allow("bert", "a", "example.com") {
		t.Error("a change with the same time and size is not seen")
	}
	now = now.Add(time.Minute)
	for i, name := range []string{"cc", "ddd", "eeee"} {
		if err := os.WriteFile(path, []byte("a@example.com "+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.look(stats(maps.Files()), now.Add(time.Duration(i)*patience/2), log)
		if got, want := maps.Allow(name, "a", "example.com"), i == 2; got != want {
			t.Errorf("%s after %d looks: %t", name, i+1, got)
		}
	}
}
