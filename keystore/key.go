// Package keystore holds the keys of a key directory: it reads the layouts that
// other software writes, and watches for changes.
package keystore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"signpost/keystore/finding"
)

// Algorithm is the key type of a key, in the words of the k= tag.
type Algorithm string

// The key types of RFC 6376, section 3.6.1, and RFC 8463, section 3.
const (
	RSA     Algorithm = "rsa"
	Ed25519 Algorithm = "ed25519"
)

// Sizes of RSA keys in bits (RFC 8301, section 3.2). Keys under MinBits never sign, and
// those under WeakBits cause a warning. Verifiers need not accept more than
// LargeBits, and keys over MaxBits are never made.
const (
	MinBits   = 1024
	WeakBits  = 2048
	LargeBits = 4096
	MaxBits   = 16384
)

// Key is a private key with the name of its record in the DNS. It is immutable.
type Key struct {
	Domain    string // SDID, A-labels
	Selector  string
	Algorithm Algorithm
	Bits      int // of the RSA modulus; 256 for Ed25519
	Signer    crypto.Signer
	File      string    // the path it was read from
	ModTime   time.Time // of the file, or the time that it says inside; zero where a store tells none
	// Shared says that any domain may use the key, if its DNS has the record: it signs
	// for no other.
	Shared bool
}

// Equal reports whether both are the same key under the same name.
func (k *Key) Equal(other *Key) bool {
	return k.Domain == other.Domain && k.Selector == other.Selector && k.samePublic(other)
}

func (k *Key) samePublic(other *Key) bool {
	if s, ok := k.Signer.(*secret); ok && other.Signer == crypto.Signer(s) {
		return true // which takes no arithmetic
	}
	public, ok := k.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(other.Signer.Public())
}

// ParsePrivate reads a private key as it stands in a file: PEM with PKCS#1 or
// PKCS#8, with or without a final newline; the base64 of either without the marks of
// PEM, as rspamd and Vault have it; or the base64 of an Ed25519 seed (32 bytes, as
// dknewkey writes it) or seed and public key (64 bytes).
func ParsePrivate(data []byte) (crypto.Signer, error) {
	// Editors on Windows write a byte order mark.
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	// Only the PEM block of the key counts; some tools write text or
	// certificates before it.
	var other error
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		defer clear(block.Bytes)
		switch der := block.Bytes; {
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, finding.WithHint(errors.New("the key is encrypted"),
				"remove the passphrase, for example with openssl pkey")
		case block.Type == "RSA PRIVATE KEY":
			key, err := x509.ParsePKCS1PrivateKey(der)
			if err != nil {
				return nil, fmt.Errorf("PKCS#1 block: %w", err)
			}
			return checked(key)
		case block.Type == "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(der)
			if err != nil {
				return nil, fmt.Errorf("PKCS#8 block: %w", err)
			}
			return checked(key)
		case other == nil:
			other = notPrivate(block.Type)
		}
	}
	if other != nil {
		return nil, other
	}
	seed := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
	defer clear(seed)
	if n, err := base64.StdEncoding.Decode(seed, data); err == nil {
		const ed25519DER = 48 // PKCS#8 of a seed (RFC 8410, section 7)
		if n > ed25519.PrivateKeySize || n == ed25519DER {
			return derKey(seed[:n])
		}
		return seedKey(seed[:n])
	}
	return nil, notPEM(data)
}

// derKey reads what is in a PEM block of a private key.
func derKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return checked(key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return checked(key)
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return nil, notPrivate("PUBLIC KEY")
	}
	return nil, fmt.Errorf("%d bytes of base64 are neither a PKCS#1 nor a PKCS#8 key", len(der))
}

func seedKey(seed []byte) (crypto.Signer, error) {
	switch len(seed) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(seed), nil
	case ed25519.PrivateKeySize:
		key := ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize])
		if !bytes.Equal(key, seed) {
			return nil, errors.New("the two halves of the Ed25519 key do not fit together")
		}
		return key, nil
	}
	return nil, fmt.Errorf("%d bytes of base64 are no Ed25519 key: it has 32 or 64", len(seed))
}

// checked accepts the types and sizes of keys that DKIM signs with.
func checked(key any) (crypto.Signer, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < MinBits {
			return nil, finding.WithHint(
				fmt.Errorf("RSA key of %d bits is too short to sign with: %d is the least (RFC 8301)", bits, MinBits),
				"make a new one of %d bits", WeakBits)
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return nil, notPrivate("EC PRIVATE KEY")
	}
	return nil, finding.WithHint(fmt.Errorf("a key of type %T cannot sign DKIM", key),
		"use RSA or Ed25519")
}

// Describe returns the key type of a key and its size: the bits of the RSA
// modulus, or 256 for Ed25519.
func Describe(signer crypto.Signer) (Algorithm, int) {
	if public, ok := signer.Public().(*rsa.PublicKey); ok {
		return RSA, public.N.BitLen()
	}
	return Ed25519, 256
}
