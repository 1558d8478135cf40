package keystore

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The inode of a directory that is removed goes to the next one, as on ext4 and as the
// root of a tmpfs has. Yet it is another one.
func TestNewDirectoryOfTheSameInode(t *testing.T) {
	t.Parallel()
	d := directory{t, filepath.Join(newDirectory(t).path, "keys")}
	d.write("only.example.private", ed25519PEM(t))
	store, log := d.watch()
	d.await(store, "only.example", "mail:ed25519")
	was, err := os.Stat(d.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(d.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.path, 0o755); err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(d.path); err != nil || !os.SameFile(was, now) {
		t.Skip("the file system does not use an inode again at once")
	}
	deadline := time.Now().Add(time.Minute)
	// In between there was none, and that may have been seen too.
	replaced := func(h Held) bool { return h.Why != nil && h.Why.Error() == errReplaced.Error() }
	for !replaced(store.Held()) {
		if got := describeKeys(store.Domain("only.example")); got != "mail:ed25519" || time.Now().After(deadline) {
			t.Fatalf("signs %q, held %+v\n%s", got, store.Held(), log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if held := store.Held(); held.Keys != 1 {
		t.Errorf("held %+v", held)
	}
}

// A key that is missing has its name by right until its absence is proven: another key
// that had that name all the time, and was refused for that, does not take its place.
func TestMissingKeyKeepsItsName(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	v.log = &journal{}
	var err error
	v.store, err = Open(Options{Dir: v.path, RemovalGrace: time.Nanosecond}, slog.New(slog.NewTextHandler(v.log, nil)))
	v.must(err)
	key := v.store.Domain("folder.example").List()[0]
	other := ed25519PEM(t)
	signs := func(when string, want bool) {
		t.Helper()
		keys := v.store.Domain("folder.example").List()
		if len(keys) != 1 || keys[0].Equal(key) != want {
			t.Fatalf("%s it signs with %v, want the key of before: %t\n%s", when, keys, want, v.log)
		}
	}
	v.write("folder.example.s1.key", other)
	v.must(v.store.Reload())
	signs("With two keys", true)

	// Everything is another directory now, which lacks the folder.
	v.must(os.Rename(v.path, v.path+".aside"))
	v.write("folder.example.s1.key", other)
	v.must(v.store.Reload())
	for range 3 {
		signs("With one of them held", true)
		v.must(v.store.Reload())
	}
	if problems := v.store.Snapshot().Problems(); len(problems) != 1 || !strings.Contains(problems[0].Error(), "another key") {
		t.Errorf("problems %v", problems)
	}
	v.must(v.store.Accept())
	signs("After SIGHUP", false)
}

// The key directory may be the one that the program runs in.
func TestDirectoryHere(t *testing.T) {
	d := newDirectory(t)
	d.write("flat.example.private", ed25519PEM(t))
	d.write("folder.example/s1.private", ed25519PEM(t))
	t.Chdir(d.path)
	d.path = "."
	store := d.open()
	if problems := store.Snapshot().Problems(); len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	if err := os.Rename("folder.example", "../aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("../aside"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // absent, and not yet for long
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	if got := describeKeys(store.Domain("folder.example")); got != "s1:ed25519" {
		t.Errorf("signs %q", got)
	}
	if err := store.Accept(); err != nil {
		t.Fatal(err)
	}
	if got := describeKeys(store.Domain("folder.example")); got != "no key" {
		t.Errorf("after SIGHUP signs %q", got)
	}
}

// A file that is back as it was is not read again: of a hundred thousand that takes a
// while.
func TestBackAsItWas(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("a.example.private", []byte("not read"))
	path := filepath.Join(d.path, "a.example.private")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	before := &file{Key: Key{Domain: "a.example", Selector: "mail", File: path, Signer: &secret{}}, gone: &absence{}}
	before.stamp, _ = stampOf(info, time.Now())
	back := (&Options{}).load(before.claim(), path, before, nil)
	if back.gone != nil || back.err != nil || back.Signer != before.Signer || before.gone == nil {
		t.Errorf("before %+v, back %+v", before, back)
	}
}
