package keystore

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// With many domains a start only lists them. The keys of one are read when its
// mail comes, and the rest in the background, so that a broken one is told of.
func TestManyDomainsAreReadWhenNeeded(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	key := ed25519PEM(t)
	for i := range few {
		d.write(fmt.Sprintf("d%04d.example.private", i), key)
	}
	d.write("folder.example/s1.private", key)
	d.write("folder.example/s2.private", key)
	d.write("flat.example.private", key)
	d.write("flat.example/s9.private", key)
	d.write("broken.example.private", []byte("-----BEGIN"))
	d.write("empty.example/README", []byte("nothing"))
	d.write("lost+found/s1.private", key)
	log := &journal{}
	store, err := Open(Options{Dir: d.path}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	snapshot := store.Snapshot()
	if usable, unread := snapshot.Count(); usable != 0 || unread != few+4 {
		t.Errorf("%d keys read, %d domains not", usable, unread)
	}
	for domain, want := range map[string]string{
		"d0007.example": "mail:ed25519", "folder.example": "s1:ed25519 s2:ed25519", "flat.example": "mail:ed25519 s9:ed25519",
		"empty.example": "no key", "other.example": "no key",
	} {
		if got := describeKeys(store.Domain(domain)); got != want {
			t.Errorf("%s has %q, want %q", domain, got, want)
		}
	}
	if got := log.Count("key broken"); got != 1 { // the invalid file
		t.Errorf("%d broken keys told of before any was read:\n%s", got, log)
	}
	store.readInBackground(t.Context())
	if usable, unread := store.Snapshot().Count(); usable != few+4 || unread != 0 {
		t.Errorf("%d keys read, %d domains not", usable, unread)
	}
	if !strings.Contains(log.String(), `msg="key broken" domain=broken.example`) || log.Count("key broken") != 2 {
		t.Errorf("the log does not tell of the broken key:\n%s", log)
	}
	if log.Count(fmt.Sprintf("domains=%d usable=%d broken=2", few+3, few+4)) != 1 || log.Count("key loaded") != 0 {
		t.Errorf("the log:\n%s", log)
	}
	if err := store.Reload(); err != nil || log.Count("key added") != 0 || log.Count("key broken") != 2 {
		t.Errorf("a reload of the same: %v\n%s", err, log)
	}
}

// While messages wait for keys that were not read yet, reading in the background pauses,
// though not for ever.
func TestMessagesComeFirst(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	const messages = 100
	for i := range few + messages {
		d.write(fmt.Sprintf("d%04d.example.private", i), ed25519PEM(t))
	}
	store := d.open()
	unread := func() string {
		for name, d := range store.Snapshot().shards.all() {
			if d.unread != nil {
				return name
			}
		}
		return "none"
	}
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		for i := range messages {
			if err := store.Domain(unread()).Err(); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				go func() { defer close(done); store.readInBackground(t.Context()) }()
			}
			time.Sleep(calm / 2)
		}
		if _, unread := store.Snapshot().Count(); unread < few/2 || unread == few {
			t.Errorf("%d domains of %d were not read while messages came first", unread, few)
		}
		<-done
		if _, unread := store.Snapshot().Count(); unread > 0 {
			t.Errorf("%d domains are not read", unread)
		}
	})
}

// The pause is as long as reading took, and longer while messages come first.
func TestPause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		took, every, want time.Duration // every is how often a message comes first; 0 for never
	}{
		"none": {0, 0, 0}, "as long": {3 * patient, 0, 3 * patient}, "calm": {0, time.Hour, calm},
		"always": {0, calm / 2, patient}, "always and long": {3 * patient, calm / 2, 3 * patient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s picture
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				if test.every > 0 {
					s.comesFirst()
					go func() {
						for {
							select {
							case <-ctx.Done():
								return
							case <-time.After(test.every):
								s.comesFirst()
							}
						}
					}()
				}
				start := time.Now()
				s.giveWay(ctx, test.took)
				if paused := time.Since(start); paused < test.want || paused > test.want+calm {
					t.Errorf("paused for %v, want %v", paused, test.want)
				}
			})
		})
	}
}

// What changes before anybody has read it is read as it is then.
func TestUnreadDomainsChange(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for i := range few + 1 {
		d.write(fmt.Sprintf("d%04d.example.private", i), ed25519PEM(t))
	}
	store, err := Open(Options{Dir: d.path, RemovalGrace: shortGrace}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.write("d0001.example/s2.private", ed25519PEM(t))
	if err := os.Remove(filepath.Join(d.path, "d0002.example.private")); err != nil {
		t.Fatal(err)
	}
	d.write("new.example.private", ed25519PEM(t))
	store.update(map[string]bool{"d0001.example": true, "d0002.example.private": true, "new.example.private": true})
	if got := describeKeys(store.Domain("d0002.example")); !strings.Contains(got, "it is missing, and was not read before") {
		t.Errorf("a key that was removed before it was read: %q", got)
	}
	time.Sleep(shortGrace)
	if err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{"d0001.example": "mail:ed25519 s2:ed25519", "d0002.example": "no key", "new.example": "mail:ed25519"} {
		if got := describeKeys(store.Domain(domain)); got != want {
			t.Errorf("%s has %q, want %q", domain, got, want)
		}
	}
}

// A key that many others were used after signs as before, though its file is
// broken by now.
func TestKeysStayWithoutTheirFiles(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for i := range 3 {
		d.write(fmt.Sprintf("rsa%d.example.private", i), pkcs8(t, rsaKeys(1024, i)))
	}
	for i := range recentSecrets + 100 {
		d.write(fmt.Sprintf("d%04d.example.private", i), ed25519PEM(t))
	}
	before := d.load(nil)
	for i := range 3 {
		d.write(fmt.Sprintf("rsa%d.example.private", i), []byte("-----BEGIN"))
	}
	snapshot := d.load(before)
	digest := sha256.Sum256(nil)
	sign := func(domain string) *Key {
		t.Helper()
		keys := snapshot.Keys(domain)
		if len(keys) == 0 {
			t.Fatal(snapshot.Domain(domain).Err())
		}
		opts := crypto.SignerOpts(crypto.SHA256)
		if keys[0].Algorithm == Ed25519 {
			opts = crypto.Hash(0)
		}
		signature, err := keys[0].Signer.Sign(rand.Reader, digest[:], opts)
		if err != nil {
			t.Fatal(err)
		}
		switch public := keys[0].Signer.Public().(type) {
		case *rsa.PublicKey:
			err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
		case ed25519.PublicKey:
			if !ed25519.Verify(public, digest[:], signature) {
				err = errors.New("it does not verify")
			}
		}
		if err != nil {
			t.Errorf("%s: %v", domain, err)
		}
		return keys[0]
	}
	for range 2 {
		first := sign("rsa0.example").Signer.(*secret)
		if first.ready.Load() == nil {
			t.Error("a key is not ready after it has signed")
		}
		for i := range recentSecrets + 100 {
			sign(fmt.Sprintf("d%04d.example", i))
			if i%100 == 0 {
				sign("rsa1.example") // used all the time, so it stays
			}
		}
		if first.ready.Load() != nil {
			t.Error("a key stays ready though many were used after it")
		}
		if sign("rsa1.example").Signer.(*secret).ready.Load() == nil {
			t.Error("a key that is used all the time is not ready")
		}
	}
	ready := 0
	for _, d := range snapshot.shards.all() {
		for _, key := range d.keys {
			if key.Signer.(*secret).ready.Load() != nil {
				ready++
			}
		}
	}
	if ready > recentSecrets {
		t.Errorf("%d keys are ready", ready)
	}
}

// Whatever happens to the files, the store comes to what a fresh look at the
// directory says.
func TestWatchAgreesWithFreshLoad(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := mathrand.New(mathrand.NewPCG(seed, 1))
			d := newDirectory(t)
			store, _ := d.watch()
			names := []string{
				"a.example.private", "a.example.s1.key", "a.example/s1.private", "a.example/s2.private", "b.example.private",
				"b.example/s1.private", "c.example.x.key", "d.example/s1.private", "d.example/note.txt", "lost+found/x.private", "mail.private",
				"a.example/s1.key", "e.example/s1.key", "rsa-2048-s1-e.example.private.txt", "e.example/e.example.key",
			}
			name := func() string { return names[random.IntN(len(names))] }
			path := func(name string) string { return filepath.Join(d.path, name) }
			keys := [][]byte{ed25519PEM(t), ed25519PEM(t), pkcs8(t, rsaKeys(1024, 0))}
			d.write("stays.example.private", keys[0]) // or all would be lost at once
			d.await(store, "stays.example", "mail:ed25519")
			for range 15 {
				for range 1 + random.IntN(6) {
					switch random.IntN(8) {
					case 0, 1, 2:
						if n := name(); random.IntN(2) == 0 {
							_ = os.MkdirAll(filepath.Dir(path(n)), 0o755)
							_ = os.WriteFile(path(n), keys[random.IntN(len(keys))], 0o600)
						}
					case 3:
						_ = os.Remove(path(name()))
					case 4:
						_ = os.Rename(path(name()), path(name()))
					case 5:
						old := time.Now().Add(-time.Duration(random.IntN(1000)) * time.Hour)
						_ = os.Chtimes(path(name()), old, old)
					case 6: // whole folders
						from, to := strings.SplitN(name(), "/", 2)[0], strings.SplitN(name(), "/", 2)[0]
						_ = os.Rename(path(from), path(to))
					case 7:
						_ = os.RemoveAll(path(strings.SplitN(name(), "/", 2)[0]))
					}
				}
				d.awaitAgreement(store)
			}
		})
	}
}

// awaitAgreement waits until the store says what a fresh look does. Of keys that
// contest a name the one in force stays, so that such domains are left out.
func (d directory) awaitAgreement(store *Store) {
	d.Helper()
	describe := func(s *Snapshot) string {
		var b strings.Builder
		for _, domain := range s.Domains() {
			if !strings.Contains(fmt.Sprint(s.Problems()), "has another key for selector") {
				fmt.Fprintf(&b, "%s: %s\n", domain, describeKeys(s.Domain(domain)))
			}
		}
		for _, p := range s.Problems() {
			if !strings.Contains(p.Err.Error(), "has another key") {
				fmt.Fprintln(&b, p)
			}
		}
		return b.String()
	}
	deadline := time.Now().Add(time.Minute)
	for {
		want := describe(d.load(nil))
		got := describe(store.Snapshot())
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			d.Fatalf("the store says\n%s\nand the directory\n%s", got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
