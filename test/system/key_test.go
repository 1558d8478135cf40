package system

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A key is a new key pair as the files and the DNS have it.
type key struct {
	private crypto.Signer
	pem     []byte // PKCS#8
	text    string // content of the TXT record
	record  string // the same as a zone file line for the name @
}

// newKey makes a key: "rsa" (2048 bits), "weak" (RSA, 1024 bits) or "ed25519".
func newKey(t testing.TB, kind string) key {
	t.Helper()
	var private crypto.Signer
	var public []byte // p=, RFC 6376 section 3.6.1 and RFC 8463 section 4
	switch kind {
	case "rsa", "weak":
		bits := map[string]int{"rsa": 2048, "weak": 1024}[kind]
		kind = "rsa"
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		private = k
		if public, err = x509.MarshalPKIXPublicKey(k.Public()); err != nil {
			t.Fatal(err)
		}
	case "ed25519":
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private, public = k, pub
	default:
		t.Fatalf("no such kind of key: %s", kind)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	p := base64.StdEncoding.EncodeToString(public)
	text := fmt.Sprintf("v=DKIM1; k=%s; p=%s", kind, p)
	half := len(text) / 2 // a string of a TXT record has at most 255 bytes
	return key{
		private: private,
		pem:     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		text:    text,
		record:  fmt.Sprintf(`@ IN TXT "%s" "%s"`, text[:half], text[half:]),
	}
}

// addKey makes a key, publishes its record, and drops it into the key
// directory under the name.
func (w *world) addKey(kind, file string, s signature) key {
	w.t.Helper()
	k := newKey(w.t, kind)
	w.publishKey(k, s)
	w.dropKey(file, k)
	return k
}

// publishKey puts the key's record under the signature's name.
func (w *world) publishKey(k key, s signature) {
	w.t.Helper()
	w.dns.Publish(w.t, s.selector+"._domainkey."+s.domain, k.record)
}

// dropKey moves a key into the key directory by rename.
func (w *world) dropKey(file string, k key) {
	w.t.Helper()
	path := filepath.Join(w.keys, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", k.pem, 0o644); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) removeKey(file string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.keys, file)); err != nil {
		w.t.Fatal(err)
	}
}

// publishText puts the record of a .txt file into the DNS, as a user would
// paste it into the zone of the domain.
func (w *world) publishText(domain string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.keys, domain+".txt"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.dns.Publish(w.t, domain, string(text))
}

// newSigningWorld makes a world with a published key of example.org, and says
// which signature that makes.
func newSigningWorld(t testing.TB) (*world, signature) {
	t.Helper()
	w, want := newWorld(t), rsaSignature("example.org", "mail")
	w.addKey("rsa", "example.org.private", want)
	return w, want
}
