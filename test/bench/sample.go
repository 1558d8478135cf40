package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// A sample is a message that was sent, by what differs in it, and the
// signatures that it got.
type sample struct {
	domain, id string
	added      []field
}

// keys returns the public key of a record's name, or nil.
type keys func(name string) crypto.PublicKey

// verify checks the signatures of a sample with another implementation.
func (k keys) verify(m mail, s sample) error {
	text := m.text(s.domain, s.id, s.added)
	results, err := dkim.VerifyWithOptions(bytes.NewReader(text), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return k.lookup(name) },
	})
	if err != nil {
		return err
	}
	if len(results) != len(s.added) {
		return fmt.Errorf("%d of %d signatures verified", len(results), len(s.added))
	}
	for i, result := range results {
		if result.Err != nil {
			return fmt.Errorf("the signature of message %s does not verify: %w\n%s", s.id, result.Err, s.added[i].value)
		}
		if result.Domain != s.domain {
			return fmt.Errorf("message %s of %s is signed for %s", s.id, s.domain, result.Domain)
		}
	}
	for _, f := range s.added {
		if !strings.Contains(strings.Join(strings.Fields(f.value), ""), "c=relaxed/relaxed;") {
			return fmt.Errorf("the signature is not relaxed/relaxed, so the milter does not do the same work as the others: %s", f.value)
		}
	}
	return nil
}

// lookup answers as the DNS would.
func (k keys) lookup(name string) ([]string, error) {
	switch key := k(name).(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(key)
		return []string{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)}, err
	case ed25519.PublicKey:
		return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)}, nil
	}
	return nil, fmt.Errorf("no key record at %s", name)
}

// maxVerified bounds the samples of a run that are verified, in bytes.
const maxVerified = 24 << 20

// verifyAll checks samples, at least one.
func (k keys) verifyAll(m mail, samples []sample) error {
	for i, s := range samples {
		if i > 0 && i*len(m.body) > maxVerified {
			break
		}
		if err := k.verify(m, s); err != nil {
			return err
		}
	}
	return nil
}

// quantile returns the duration below which that share of them is. They are
// sorted.
func quantile[T any](sorted []T, share float64) T {
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// median of what need not be sorted.
func median[T float64 | int](values []T) T {
	return quantile(slices.Sorted(slices.Values(values)), 0.5)
}
