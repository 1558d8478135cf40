package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"signpost/keystore/finding"
)

// minRSABits is what a verifier must not go below (RFC 8301, section 3.2).
const minRSABits = 1024

// algorithm returns the a= value for key, or says why it cannot sign.
func algorithm(key crypto.Signer) (string, error) {
	if key == nil {
		return "", finding.WithHint(errors.New("there is no key"),
			"give an RSA or Ed25519 key")
	}
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < minRSABits {
			return "", finding.WithHint(
				fmt.Errorf("the RSA key has %d bits, verifiers refuse less than %d (RFC 8301)", bits, minRSABits),
				"make a key of 2048 bits")
		}
		return "rsa-sha256", nil
	case ed25519.PublicKey:
		if len(pub) != ed25519.PublicKeySize {
			return "", finding.WithHint(
				fmt.Errorf("the Ed25519 public key has %d bytes, not %d", len(pub), ed25519.PublicKeySize),
				"the key is damaged")
		}
		return "ed25519-sha256", nil
	default:
		return "", finding.WithHint(fmt.Errorf("a key of type %T cannot sign", pub),
			"DKIM knows RSA and Ed25519")
	}
}

// signDigest signs the SHA-256 digest of the header: PKCS #1 v1.5 with RSA
// (RFC 6376, section 3.3). Ed25519 takes the digest as its message (RFC 8463,
// section 3), hence a hash of 0.
func signDigest(key crypto.Signer, digest []byte) ([]byte, error) {
	if pub, ok := key.Public().(*rsa.PublicKey); ok {
		return checkSize(key, digest, crypto.SHA256, pub.Size())
	}
	return checkSize(key, digest, crypto.Hash(0), ed25519.SignatureSize)
}

// checkSize guards against a broken signer, hardware or library.
func checkSize(key crypto.Signer, digest []byte, opts crypto.SignerOpts, size int) ([]byte, error) {
	sig, err := key.Sign(rand.Reader, digest, opts)
	if err == nil && len(sig) != size {
		err = finding.WithHint(fmt.Errorf("the signer gave %d bytes, not %d", len(sig), size),
			"it does not suit its public key")
	}
	return sig, err
}
