//go:build !openssl

package libcrypto

import (
	"crypto"
	"crypto/rsa"
	"runtime"
)

// Name says what signs, and its version.
func Name() string { return "crypto/rsa of " + runtime.Version() }

// Signer returns key itself, made ready.
func Signer(key *rsa.PrivateKey) (crypto.Signer, error) {
	key.Precompute()
	return key, nil
}
