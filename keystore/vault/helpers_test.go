package vault

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/vault/vaulttest"
)

// open opens a store on a server, with VAULT_TOKEN the root's and VAULT_ADDR the server's.
func open(t testing.TB, url string, env map[string]string) *Backend {
	t.Helper()
	b, err := New(url, func(name string) string { return env[name] })
	if err != nil {
		t.Fatalf("New(%s): %s", url, finding.Text(err))
	}
	t.Cleanup(func() { _ = b.Close() })
	b.settle, b.slowest = 20*time.Millisecond, 20*time.Second
	return b
}

func onServer(t testing.TB, s *vaulttest.Server, path string) *Backend {
	t.Helper()
	return open(t, "vault:"+s.URL+"/"+path, map[string]string{"VAULT_TOKEN": vaulttest.Root})
}

// rsaKey is a key for tests, which takes a while to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return key
})

// edKey is a key that is another for each number.
func edKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string('a'+rune(n)), ed25519.SeedSize)))
}

func pemOf(key any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// base64Of is a key as rspamd has it.
func base64Of(key any) string {
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return base64.StdEncoding.EncodeToString(key)
	case *rsa.PrivateKey:
		return base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(key))
	}
	panic("no key")
}

type fields = map[string]any

func selectors(list ...fields) fields { return fields{"selectors": list} }

// read returns the keys of a domain.
func read(t testing.TB, b *Backend, domain string) []keystore.Entry {
	t.Helper()
	found, err := b.Read(t.Context(), []string{domain})
	if err != nil {
		t.Fatalf("Read(%s): %s", domain, finding.Text(err))
	}
	return found[0]
}

// list returns the domains, sorted.
func list(t testing.TB, b *Backend) []string {
	t.Helper()
	var domains []string
	if err := b.List(t.Context(), func(domain, _ string) { domains = append(domains, domain) }); err != nil {
		t.Fatalf("List: %s", finding.Text(err))
	}
	slices.Sort(domains)
	return domains
}

func sameKey(t testing.TB, e keystore.Entry, want crypto.Signer) {
	t.Helper()
	if e.Err != nil {
		t.Fatalf("%s: %v", e.Place, e.Err)
	}
	got, err := keystore.ParsePrivate(e.Data)
	if err != nil {
		t.Fatalf("%s: %v", e.Place, err)
	}
	if !got.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(want.Public()) {
		t.Errorf("%s: it is another key", e.Place)
	}
}

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so", what)
		}
	}
}
