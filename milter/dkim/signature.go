package dkim

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"time"

	"signpost/keystore/finding"
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
}

// fieldName is the field of a signature (RFC 6376, section 3.5).
const fieldName = "DKIM-Signature"

// maxTime is the last second of the 12 digits that t= and x= have.
const maxTime = 999_999_999_999

// signer is a checked Signature on its way through one message. Its names are
// A-labels, its identity is as it is written.
type signer struct {
	Signature
	algorithm string
	hash      hash.Hash // of the signed fields, then of the signature's own
}

// set begins a message.
func (s *signer) set(signature Signature) (err error) {
	domain, selector := signature.Domain, signature.Selector
	s.Signature = signature
	if s.Domain, err = asciiName(domain, false); err != nil {
		return finding.WithHint(fmt.Errorf("signing domain %q: %w", domain, err),
			"use a domain name like example.org, without a final dot")
	}
	if s.Selector, err = asciiName(selector, true); err != nil {
		return finding.WithHint(fmt.Errorf("selector %q: %w", selector, err),
			"use letters, digits, hyphens, underscores and dots")
	}
	if n := len(s.Selector) + len("._domainkey.") + len(s.Domain); n > maxName {
		return finding.WithHint(fmt.Errorf("the name %s._domainkey.%s has over %d characters, DNS cannot hold it",
			s.Selector, s.Domain, maxName),
			"use a shorter selector")
	}
	if signature.Identity != "" {
		if s.Identity, err = quotedIdentity(signature.Identity, s.Domain); err != nil {
			return finding.WithHint(fmt.Errorf("identity %q for %s: %w", signature.Identity, s.Domain, err),
				"use an address at %s or below", s.Domain)
		}
	}
	if s.algorithm, err = algorithm(s.Key); err != nil {
		return fmt.Errorf("signature for %s with selector %s: %w", s.Domain, s.Selector, err)
	}
	if s.hash == nil {
		s.hash = sha256.New()
	} else {
		s.hash.Reset()
	}
	return nil
}

// sign returns the value of the DKIM-Signature field, written with f.
func (s *signer) sign(f *folder, policy *Policy, names []string, now time.Time, bodyHash []byte) (string, error) {
	s.unsigned(f, policy, names, now, bodyHash)
	// The field itself comes last, with an empty b= and no CRLF (RFC 6376,
	// section 3.7). Nothing follows b=, so what is hashed is what is sent.
	value := len(f.buf)
	f.buf = appendField(f.buf, policy.Header, []byte(fieldName), f.buf)
	s.hash.Write(f.buf[value:])
	var digest [sha256.Size]byte
	sig, err := signDigest(s.Key, s.hash.Sum(digest[:0]))
	if err != nil {
		return "", err
	}
	f.buf = base64.StdEncoding.AppendEncode(f.buf[:value], sig)
	return f.wrapped(value), nil
}

// unsigned writes the field up to and with "b=".
func (s *signer) unsigned(f *folder, policy *Policy, names []string, now time.Time, bodyHash []byte) {
	f.begin(fieldName)
	f.tag("v=1;")
	f.tag("a=", s.algorithm, ";")
	f.tag("c=", policy.Header.String(), "/", policy.Body.String(), ";")
	f.tag("d=", s.Domain, ";")
	f.tag("s=", s.Selector, ";")
	if s.Identity != "" {
		f.quoted("i=" + s.Identity + ";")
	}
	t := now.Unix()
	f.tag("t=", strconv.FormatInt(t, 10), ";")
	if policy.Expiration > 0 {
		x := t + int64(policy.Expiration/time.Second)
		f.tag("x=", strconv.FormatInt(min(x, maxTime), 10), ";")
	}
	f.names(names)
	f.tag("bh=", base64.StdEncoding.EncodeToString(bodyHash), ";")
	f.fold()
	f.write("b=")
}
