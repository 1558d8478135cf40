//go:build openssl

package libcrypto

/*
#cgo LDFLAGS: -lcrypto
#include "openssl.h"
*/
import "C"

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"signpost/keystore/finding"
)

// Name says what signs, and its version.
func Name() string { return C.GoString(C.signpost_version()) }

// begin keeps OpenSSL from reading the configuration of the host, which could
// load engines and providers into the program, and from cleaning up at exit
// while other threads still sign.
var begin = sync.OnceValue(func() bool { return C.signpost_begin() == 1 })

// signer is a key in the memory of OpenSSL, which is freed when the signer is
// garbage.
type signer struct {
	public rsa.PublicKey
	key    *C.EVP_PKEY
}

// Signer returns a signer for RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2),
// which any number of goroutines may use at once. The precomputed values of the key
// need not be there. A key of more than two primes is returned as it is.
func Signer(key *rsa.PrivateKey) (crypto.Signer, error) {
	if len(key.Primes) != 2 {
		return key, nil
	}
	if !begin() {
		return nil, errors.New("libcrypto does not start")
	}
	if key.Precomputed.Qinv == nil {
		key.Precompute()
	}
	numbers, sizes := little(key.N, big.NewInt(int64(key.E)), key.D, key.Primes[0], key.Primes[1],
		key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv)
	defer clear(numbers)
	var reason failure
	loaded := C.signpost_load((*C.uchar)(&numbers[0]), (*C.size_t)(&sizes[0]), reason.buffer())
	if loaded == nil {
		return nil, reason.err("taking the key")
	}
	s := &signer{public: key.PublicKey, key: loaded}
	runtime.AddCleanup(s, func(key *C.EVP_PKEY) { C.EVP_PKEY_free(key) }, loaded)
	return s, nil
}

// little returns numbers one after the other, in bytes of which the lowest comes
// first, and how many bytes each has.
func little(values ...*big.Int) (numbers []byte, sizes []C.size_t) {
	size := 0
	for _, v := range values {
		size += len(v.Bits()) * bits.UintSize / 8
	}
	numbers = make([]byte, 0, size) // at once: one that grows leaves copies behind
	for _, v := range values {
		bytes := v.Bytes()
		slices.Reverse(bytes)
		numbers, sizes = append(numbers, bytes...), append(sizes, C.size_t(len(bytes)))
		clear(bytes)
	}
	return numbers, sizes
}

// Public returns the *rsa.PublicKey.
func (s *signer) Public() crypto.PublicKey { return &s.public }

// Sign signs a SHA-256 digest; opts must be crypto.SHA256. The randomness, of
// which the signature itself needs none, is OpenSSL's own.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != crypto.SHA256 || len(digest) != crypto.SHA256.Size() {
		return nil, finding.WithHint(
			fmt.Errorf("a digest of %d bytes with %T %v cannot be signed", len(digest), opts, opts),
			"this signer takes SHA-256 only")
	}
	signature := make([]byte, s.public.Size())
	var reason failure
	n := C.signpost_sign(s.key, (*C.uchar)(&digest[0]), (*C.uchar)(&signature[0]),
		C.size_t(len(signature)), reason.buffer())
	runtime.KeepAlive(s)
	if int(n) != len(signature) {
		return nil, reason.err("signing")
	}
	return signature, nil
}

// failure is the text of an error of OpenSSL.
type failure [C.SIGNPOST_REASON]byte

func (f *failure) buffer() *C.char { return (*C.char)(unsafe.Pointer(f)) }

func (f *failure) err(doing string) error {
	return fmt.Errorf("libcrypto: %s: %s", doing, C.GoString(f.buffer()))
}
