package dkim

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"time"
)

// Signature is one signature to make.
type Signature struct {
	// Domain is the SDID, d=, and Selector s=: the key is published at
	// Selector._domainkey.Domain. U-labels come out as A-labels.
	Domain, Selector string

	// Identity is the AUID, i=, as an address like user@example.org or
	// @sub.example.org. Its domain is Domain or one below it. Empty: no i=.
	Identity string

	// Key signs: any signer with an *rsa.PublicKey or an ed25519.PublicKey.
	Key crypto.Signer

	Policy *Policy
}

// fieldName is the field of a signature (RFC 6376, section 3.5).
const fieldName = "DKIM-Signature"

// maxTime is the last second of the 12 digits that t= and x= have.
const maxTime = 999_999_999_999

// signer is a checked Signature on its way through one message.
type signer struct {
	algorithm, domain, selector string
	identity                    string // as it is written, or empty
	key                         crypto.Signer
	policy                      *Policy

	hash  hash.Hash // of the signed fields, then of the signature's own
	names []string  // for h=
}

func newSigner(s Signature) (*signer, error) {
	if s.Policy == nil {
		return nil, fmt.Errorf("signature for %q has no policy; hint: set Signature.Policy", s.Domain)
	}
	if err := s.Policy.Validate(); err != nil {
		return nil, err
	}
	domain, err := asciiName(s.Domain, false)
	if err != nil {
		return nil, fmt.Errorf("signing domain %q: %w; hint: use a domain name like example.org, without a final dot", s.Domain, err)
	}
	selector, err := asciiName(s.Selector, true)
	if err != nil {
		return nil, fmt.Errorf("selector %q: %w; hint: use letters, digits, hyphens, underscores and dots", s.Selector, err)
	}
	if name := selector + "._domainkey." + domain; len(name) > maxName {
		return nil, fmt.Errorf("the name %s has over %d characters, DNS cannot hold it; hint: use a shorter selector", name, maxName)
	}
	var identity string
	if s.Identity != "" {
		if identity, err = quotedIdentity(s.Identity, domain); err != nil {
			return nil, fmt.Errorf("identity %q for %s: %w; hint: use an address at %s or below", s.Identity, domain, err, domain)
		}
	}
	a, err := algorithm(s.Key)
	if err != nil {
		return nil, fmt.Errorf("signature for %s with selector %s: %w", domain, selector, err)
	}
	return &signer{a, domain, selector, identity, s.Key, s.Policy, sha256.New(), nil}, nil
}

// sign returns the value of the DKIM-Signature field.
func (s *signer) sign(now time.Time, bodyHash []byte) (string, error) {
	f := s.unsigned(now, bodyHash)
	// The field itself comes last, with an empty b= and no CRLF (RFC 6376,
	// section 3.7). Nothing follows b=, so what is hashed is what is sent.
	s.hash.Write(appendField(nil, s.policy.Header, Field{fieldName, string(f.buf)}))
	sig, err := signDigest(s.key, s.hash.Sum(nil))
	if err != nil {
		return "", err
	}
	b := base64.StdEncoding.EncodeToString(sig)
	for b != "" {
		n := min(len(b), lineWidth-f.col)
		f.write(b[:n])
		if b = b[n:]; b != "" {
			f.fold()
		}
	}
	return string(f.buf), nil
}

// unsigned writes the field up to and with "b=".
func (s *signer) unsigned(now time.Time, bodyHash []byte) *folder {
	f := newFolder(fieldName)
	f.tag("v=1;")
	f.tag("a=" + s.algorithm + ";")
	f.tag("c=" + s.policy.Header.String() + "/" + s.policy.Body.String() + ";")
	f.tag("d=" + s.domain + ";")
	f.tag("s=" + s.selector + ";")
	if s.identity != "" {
		f.quoted("i=" + s.identity + ";")
	}
	t := now.Unix()
	f.tag("t=" + strconv.FormatInt(t, 10) + ";")
	if s.policy.Expiration > 0 {
		x := t + int64(s.policy.Expiration/time.Second)
		f.tag("x=" + strconv.FormatInt(min(x, maxTime), 10) + ";")
	}
	f.names(s.names)
	f.tag("bh=" + base64.StdEncoding.EncodeToString(bodyHash) + ";")
	f.fold()
	f.write("b=")
	return f
}
