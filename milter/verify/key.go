package verify

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"signpost/keystore/record"
	"signpost/milter/message"
)

// minRSABits is what a verifier must not go below (RFC 8301, section 3.2), and
// maxRSABits an end to the work that a key can make: OpenSSL has the same.
const (
	minRSABits = 1024
	maxRSABits = 16384
)

// fetchKeys looks the key of a signature up. It returns none where the
// signature cannot be verified, and has said why then. There may be several
// records, against RFC 6376, section 3.6.2.2; any may be the one (6.1.2).
func (s *Signature) fetchKeys(ctx context.Context, o Options) []crypto.PublicKey {
	answer, err := o.Source.Lookup(ctx, s.name(), dns.TypeTXT)
	if err != nil {
		s.set(TempError, inDNS, "the key is not known: %v", err)
		return nil
	}
	texts := answer.TXT()
	if len(texts) == 0 && o.Offline {
		s.set(Neutral, inKey, "not looked up: %s is not among the records at hand", s.name())
		return nil
	}
	if len(texts) == 0 {
		s.set(PermError, inKey, "there is no key record at %s", s.name())
		return nil
	}
	var keys []crypto.PublicKey
	for _, txt := range texts {
		if key := s.readKey(txt.Text()); key != nil {
			keys = append(keys, key)
		}
	}
	if len(texts) > 1 {
		s.note("%s has %d TXT records, and a receiver may take any of them (RFC 6376, section 3.6.2.2)",
			s.name(), len(texts))
	}
	if len(keys) > 0 {
		s.set("", "", "")
	}
	return keys
}

// readKey returns the key of a record if the signature may use it, else nil,
// and has said why then (RFC 6376, section 6.1.2).
func (s *Signature) readKey(text string) crypto.PublicKey {
	r, err := record.ParseDKIM(text)
	if err != nil {
		// Nobody is strict about this one (RFC 6376, section 3.6.1).
		if first := versionFirst(text); first != "" {
			if r, err = record.ParseDKIM(first); err == nil {
				s.note("v=DKIM1 must be the first tag of the key record at %s", s.name())
			}
		}
	}
	if err != nil {
		s.set(PermError, inKey, "the key record at %s cannot be read: %v", s.name(), err)
		return nil
	}
	kind, hash, _ := strings.Cut(s.Algorithm, "-")
	switch {
	case r.Revoked():
		s.set(PermError, inKey, "the key at %s is revoked: its p= is empty", s.name())
	case r.KeyType != kind:
		s.set(PermError, inKey, "the key at %s is for k=%s, the signature is made with %s", s.name(), r.KeyType, kind)
	case r.Hash != "" && !slices.Contains(strings.Split(r.Hash, ":"), hash):
		s.set(PermError, inKey, "the key at %s is for h=%s, the signature is made with %s", s.name(), r.Hash, hash)
	case r.Service != "" && !slices.Contains(strings.Split(r.Service, ":"), "*") &&
		!slices.Contains(strings.Split(r.Service, ":"), "email"):
		s.set(PermError, inKey, "the key at %s is for s=%s, not for email", s.name(), r.Service)
	case slices.Contains(strings.Split(r.Flags, ":"), "s") && s.identityDomain() != s.Domain:
		s.set(PermError, inKey, "the key at %s has t=s, so i= must be in %s itself, not in %s", s.name(),
			s.Domain, s.identityDomain())
	default:
		key, err := s.publicKey(r)
		if err != nil {
			s.set(PermError, inKey, "the key at %s: %v", s.name(), err)
			return nil
		}
		if s.KeyBits > 0 && s.KeyBits < minRSABits {
			s.set(Policy, inKey, "the key at %s has %d bits, and under %d must not be accepted (RFC 8301)",
				s.name(), s.KeyBits, minRSABits)
			return nil
		}
		if r.Testing() {
			s.note("the key at %s has t=y: the domain is only testing, and a receiver may treat the message as unsigned",
				s.name())
		}
		return key
	}
	return nil
}

// versionFirst moves v= to the front of a record, and returns nothing when it
// is there or missing.
func versionFirst(text string) string {
	tags, err := record.ParseTags(text)
	at := slices.IndexFunc(tags, func(t record.Tag) bool { return t.Name == "v" })
	if err != nil || at <= 0 {
		return ""
	}
	parts := strings.Split(text, ";")
	first := parts[at] + ";"
	return first + strings.Join(slices.Delete(parts, at, at+1), ";")
}

func (s *Signature) publicKey(r record.DKIM) (crypto.PublicKey, error) {
	if r.KeyType == "ed25519" {
		if len(r.PublicKey) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("an Ed25519 key has %d bytes in p=, not %d (RFC 8463, section 4.2)",
				ed25519.PublicKeySize, len(r.PublicKey))
		}
		return ed25519.PublicKey(r.PublicKey), nil
	}
	parsed, err := x509.ParsePKIXPublicKey(r.PublicKey)
	if err != nil {
		// RFC 6376 speaks of RSAPublicKey, and its erratum 3017 allows both.
		if parsed, err = x509.ParsePKCS1PublicKey(r.PublicKey); err == nil {
			s.note("the key at %s is an RSAPublicKey, which some verifiers cannot read: publish a SubjectPublicKeyInfo",
				s.name())
		}
	}
	key, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("p= holds no RSA key")
	}
	s.KeyBits = key.N.BitLen()
	if s.KeyBits > maxRSABits {
		return nil, fmt.Errorf("it has %d bits, and receivers take no more than %d", s.KeyBits, maxRSABits)
	}
	return key, nil
}

// good reports whether key made the signature over a digest of the header.
func good(key crypto.PublicKey, digest, signature []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case ed25519.PublicKey:
		// The digest is the message (RFC 8463, section 3).
		return ed25519.Verify(key, digest, signature)
	}
	return false
}

// headerDigest hashes the signed fields and the signature's own (RFC 6376,
// sections 3.7 and 5.4.2: of fields with one name the last goes first).
func (s *Signature) headerDigest(fields []message.Field) []byte {
	byName := make(map[string][]int)
	for i, f := range fields {
		name := strings.ToLower(strings.TrimRight(f.Name, " \t"))
		byName[name] = append(byName[name], i)
	}
	hash := sha256.New()
	var buf []byte
	for _, name := range s.Signed {
		left := byName[name]
		if len(left) == 0 {
			continue
		}
		buf = s.header.AppendField(buf[:0], fields[left[len(left)-1]].Field)
		hash.Write(append(buf, "\r\n"...))
		byName[name] = left[:len(left)-1]
	}
	own := s.field
	own.Value = s.cutB
	hash.Write(s.header.AppendField(buf[:0], own))
	return hash.Sum(nil)
}
