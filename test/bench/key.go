package main

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
	"strings"
)

// Selectors, which are the names of the algorithms too.
const (
	rsaKey     = "rsa"
	ed25519Key = "ed25519"
)

// keyFiles are the private keys, in the forms that the milters want.
type keyFiles struct {
	public  keys
	rsa     string // PEM
	ed25519 string // PEM
	seed    string // base64 of the Ed25519 seed, which dkimpy wants
}

// makeKeys makes one RSA key of 2048 bits and one Ed25519 key.
func makeKeys(dir string) (keyFiles, error) {
	k := keyFiles{
		rsa:     filepath.Join(dir, "rsa.pem"),
		ed25519: filepath.Join(dir, "ed25519.pem"),
		seed:    filepath.Join(dir, "ed25519.seed"),
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return k, err
	}
	public, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return k, err
	}
	bySelector := map[string]crypto.PublicKey{rsaKey: private.Public(), ed25519Key: public}
	k.public = func(name string) crypto.PublicKey {
		selector, _, _ := strings.Cut(name, ".")
		return bySelector[selector]
	}
	for path, key := range map[string]any{k.rsa: private, k.ed25519: edPrivate} {
		content, err := keyPEM(key)
		if err != nil {
			return k, err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return k, err
		}
	}
	seed := base64.StdEncoding.EncodeToString(edPrivate.Seed())
	return k, os.WriteFile(k.seed, []byte(seed), 0o600)
}

// keyPEM is a private key as PKCS #8 in PEM.
func keyPEM(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
