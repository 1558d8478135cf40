package keystore

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// A key that is dropped or replaced is wiped, but not under a message that signs with it.
func TestDroppedKeysAreWiped(t *testing.T) {
	d := newDirectory(t)
	d.write("stays.example.private", ed25519PEM(t))
	d.write("removed.example.private", pkcs8(t, rsaKeys(1024, 0)))
	d.write("replaced.example.private", pkcs8(t, rsaKeys(1024, 1)))
	d.write("reread.example.private", pkcs8(t, rsaKeys(1024, 2)))
	store, err := Open(Options{Dir: d.path, RemovalGrace: 1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	memory := func(domain string) []byte { return store.Domain(domain).List()[0].Signer.(*secret).data }
	dropped := [][]byte{memory("removed.example"), memory("replaced.example")}
	digest := sha256.Sum256(nil)
	for _, name := range []string{"removed.example", "replaced.example"} { // so that they are ready
		if _, err := store.Domain(name).List()[0].Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	kept := [][]byte{memory("stays.example"), memory("reread.example")}
	before := bytes.Join(kept, nil)

	// A message holds the first.
	held := store.Domain("removed.example").List()[0]
	public := held.Signer.Public().(*rsa.PublicKey)
	if err := os.Remove(filepath.Join(d.path, "removed.example.private")); err != nil {
		t.Fatal(err)
	}
	d.write("replaced.example.private", ed25519PEM(t))
	d.write("reread.example.private", pkcs8(t, rsaKeys(1024, 2))) // the same key anew
	for range 2 {
		time.Sleep(time.Millisecond)
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	d.await(store, "removed.example", "no key")
	wiped := func(data []byte) bool { return bytes.Count(data, []byte{0}) == len(data) }
	await := func(data []byte) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !wiped(data); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a key is in memory a minute after it was dropped")
			}
			runtime.GC()
		}
	}
	await(dropped[1])
	signature, err := held.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err == nil {
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
	}
	if err != nil {
		t.Errorf("the message that holds a dropped key: %v", err)
	}
	runtime.KeepAlive(held)
	await(dropped[0])
	runtime.GC()
	if !bytes.Equal(bytes.Join(kept, nil), before) {
		t.Error("a key that is in force was wiped")
	}
	runtime.KeepAlive(store)
}

// Secrets that become garbage while they sign make good signatures.
func TestNoSignatureIsWipedAway(t *testing.T) {
	t.Parallel()
	key := rsaKeys(1024, 0)
	digest := sha256.Sum256(nil)
	stop := make(chan struct{})
	var collecting, signing sync.WaitGroup
	collecting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for range 4 {
		signing.Go(func() {
			for range 100 {
				s, err := newSecret(key, &recent{most: 1})
				if err != nil {
					t.Error(err)
					return
				}
				s.wipeUnused()
				signature, err := s.Sign(rand.Reader, digest[:], crypto.SHA256) // nobody knows s from here on
				if err == nil {
					err = rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	signing.Wait()
	close(stop)
	collecting.Wait()
}

// What a file and a parsed key leave behind is wiped at once.
func TestParsedKeysAreWiped(t *testing.T) {
	t.Parallel()
	signer, err := ParsePrivate(pkcs8(t, rsaKeys(1024, 0)))
	if err != nil {
		t.Fatal(err)
	}
	key := signer.(*rsa.PrivateKey)
	wipeSigner(key)
	for _, n := range []*big.Int{key.D, key.Primes[0], key.Primes[1], key.Precomputed.Dp, key.Precomputed.Qinv} {
		if slices.ContainsFunc(n.Bits(), func(w big.Word) bool { return w != 0 }) {
			t.Error("a private number is left")
		}
	}
	if !key.PublicKey.Equal(&rsaKeys(1024, 0).PublicKey) {
		t.Error("the public key was wiped")
	}
}
