package keystore

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"signpost/keystore/finding"
	"signpost/keystore/libcrypto"
)

// secret is a private key in little memory. It is made ready to sign on its
// first use, and is so until many others have been used after it. It never
// needs its file again.
type secret struct {
	ready  atomic.Pointer[ready]
	recent *recent
	kind   secretKind
	gone   bool   // dropped or replaced; guarded by recent.mu
	e      uint32 // the public exponent of an RSA key
	data   []byte
}

type secretKind uint8

const (
	seed      secretKind = iota // of an Ed25519 key
	twoPrimes                   // of an RSA key: two of equal length, one after the other
	der                         // of PKCS#1, for any other RSA key
)

// ready is a secret that can sign.
type ready struct {
	crypto.Signer
	used atomic.Bool // since the hand of recent passed
}

// newSecret takes an *rsa.PrivateKey or an ed25519.PrivateKey.
func newSecret(signer crypto.Signer, recent *recent) (*secret, error) {
	s := &secret{recent: recent}
	switch key := signer.(type) {
	case ed25519.PrivateKey:
		s.kind, s.data = seed, key.Seed()
	case *rsa.PrivateKey:
		if key.E > 1<<32-1 {
			return nil, fmt.Errorf("the exponent %d of the RSA key is too large", key.E)
		}
		s.e = uint32(key.E)
		if size, ok := primeSize(key); ok {
			s.kind, s.data = twoPrimes, make([]byte, 2*size)
			key.Primes[0].FillBytes(s.data[:size])
			key.Primes[1].FillBytes(s.data[size:])
		} else {
			s.kind, s.data = der, x509.MarshalPKCS1PrivateKey(key)
		}
	default:
		return nil, finding.WithHint(fmt.Errorf("a key of type %T cannot sign DKIM", signer),
			"use RSA or Ed25519")
	}
	return s, nil
}

// primeSize returns the length in bytes of the two primes of a key, where that
// is what it has.
func primeSize(key *rsa.PrivateKey) (size int, ok bool) {
	if len(key.Primes) != 2 {
		return 0, false
	}
	size = (key.Primes[0].BitLen() + 7) / 8
	return size, size == (key.Primes[1].BitLen()+7)/8
}

// Public returns the *rsa.PublicKey or the ed25519.PublicKey.
func (s *secret) Public() crypto.PublicKey {
	if r := s.ready.Load(); r != nil {
		defer runtime.KeepAlive(r)
		return r.Signer.Public()
	}
	defer runtime.KeepAlive(s) // it is wiped when it is garbage
	if s.kind == twoPrimes {
		p, q := s.primes()
		defer wipeNumbers(p, q)
		return &rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(s.e)}
	}
	signer, err := s.decode()
	if err != nil {
		return nil
	}
	return signer.Public()
}

// Sign signs as the key itself does.
func (s *secret) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	r := s.ready.Load()
	if r == nil {
		var err error
		if r, err = s.makeReady(); err != nil {
			return nil, err
		}
		s.recent.add(s, r)
	}
	if !r.used.Load() { // most often it is, and then its memory stays unwritten
		r.used.Store(true)
	}
	signature, err := r.Signer.Sign(random, digest, opts)
	runtime.KeepAlive(r) // it is wiped when it is garbage, and so is s
	runtime.KeepAlive(s)
	return signature, err
}

// makeReady makes what can sign of a secret. Its numbers are wiped when nobody uses it
// any more; at once where they are in OpenSSL now.
func (s *secret) makeReady() (*ready, error) {
	key, err := s.decode()
	if err != nil {
		return nil, err
	}
	r := &ready{Signer: key}
	if rsaKey, ok := key.(*rsa.PrivateKey); ok {
		if r.Signer, err = libcrypto.Signer(rsaKey); err != nil {
			return nil, err
		}
		if r.Signer != key { // pointers both, or of different types
			wipeSigner(key)
			return r, nil
		}
	}
	runtime.AddCleanup(r, wipeSigner, key)
	return r, nil
}

func (s *secret) decode() (crypto.Signer, error) {
	switch s.kind {
	case seed:
		return ed25519.NewKeyFromSeed(s.data), nil
	case der:
		return x509.ParsePKCS1PrivateKey(s.data)
	}
	p, q := s.primes()
	return rsaKey(p, q, int(s.e))
}

// rsaKey makes the key of two primes and an exponent (RFC 8017, section 3.2).
// What crypto/rsa would compute in constant time, and so slowly, is given to it:
// the key is one that it has found good before.
func rsaKey(p, q *big.Int, e int) (*rsa.PrivateKey, error) {
	one, exponent := big.NewInt(1), big.NewInt(int64(e))
	pMinus, qMinus := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	phi := new(big.Int).Mul(pMinus, qMinus)
	defer wipeNumbers(pMinus, qMinus, phi)
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: e},
		D:         new(big.Int).ModInverse(exponent, phi),
		Primes:    []*big.Int{p, q},
	}
	if key.D == nil {
		return nil, fmt.Errorf("the exponent %d does not suit the primes of the RSA key", e)
	}
	key.Precomputed.Dp = new(big.Int).Mod(key.D, pMinus)
	key.Precomputed.Dq = new(big.Int).Mod(key.D, qMinus)
	key.Precomputed.Qinv = new(big.Int).ModInverse(q, p)
	return key, nil
}

func (s *secret) primes() (p, q *big.Int) {
	half := len(s.data) / 2
	return new(big.Int).SetBytes(s.data[:half]), new(big.Int).SetBytes(s.data[half:])
}

// How many secrets are ready to sign at one time. Each takes some 5 KiB in Go,
// and more in libcrypto. With very many domains a key is rarely used again before
// hundreds of others, so fewer are kept.
const (
	recentSecrets = 2000
	recentOfMany  = 500
)

// recent is which secrets are ready. It is a clock cache: the hand skips those that
// were used since it last passed.
type recent struct {
	mu      sync.Mutex
	most    int // 0: recentSecrets
	secrets []*secret
	hand    int
}

// add makes a secret ready, in place of another when there are many.
func (c *recent) add(s *secret, r *ready) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.ready.Load() != nil {
		return // another goroutine was first
	}
	s.ready.Store(r)
	if s.gone {
		return // who signs with it yet has it
	}
	if len(c.secrets) < cmp.Or(c.most, recentSecrets) {
		c.secrets = append(c.secrets, s)
		return
	}
	for {
		old := c.secrets[c.hand].ready.Load()
		if !old.used.Swap(false) {
			break
		}
		c.hand = (c.hand + 1) % len(c.secrets)
	}
	c.secrets[c.hand].ready.Store(nil)
	c.secrets[c.hand] = s
	c.hand = (c.hand + 1) % len(c.secrets)
}

// forget makes a secret garbage when nobody signs with it any more.
func (c *recent) forget(s *secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.gone = true
	if i := slices.Index(c.secrets, s); i >= 0 {
		c.secrets = slices.Delete(c.secrets, i, i+1)
		c.hand = 0
	}
}
