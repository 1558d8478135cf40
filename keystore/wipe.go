package keystore

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"math/big"
	"runtime"
	"slices"
)

// A private key is wiped from memory when it is not needed any more: its bytes in a
// secret, the numbers of a key that is ready to sign, and what was read from the file. A
// message in progress may still sign with a key that has been dropped, so a secret is
// wiped when it is garbage, which the runtime looks for every two minutes or more often.
// Copies that the standard library makes within itself cannot be reached. OpenSSL wipes
// what it frees.

// wipe wipes a secret that nobody else knows.
func (s *secret) wipe() { clear(s.data) }

// wipeUnused wipes a secret as soon as nobody knows it any more.
func (s *secret) wipeUnused() {
	s.recent.forget(s)
	runtime.AddCleanup(s, func(data []byte) { clear(data) }, s.data)
}

// wipe has the keys wiped that a change drops or replaces.
func (c change) wipe() {
	if c.was == nil || c.was == c.now {
		return
	}
	for _, f := range c.was.files {
		s, ok := f.Signer.(*secret)
		if ok && !slices.ContainsFunc(c.now.files, func(now *file) bool { return now.Signer == f.Signer }) {
			s.wipeUnused()
		}
	}
}

// wipeSigner wipes a private key as the standard library has it. The public key stays.
func wipeSigner(signer crypto.Signer) {
	switch key := signer.(type) {
	case ed25519.PrivateKey:
		clear(key)
	case *rsa.PrivateKey:
		wipeNumbers(key.D, key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv)
		wipeNumbers(key.Primes...)
	}
}

func wipeNumbers(numbers ...*big.Int) {
	for _, n := range numbers {
		if n != nil {
			words := n.Bits()
			clear(words[:cap(words)])
		}
	}
}
