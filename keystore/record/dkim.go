// Package record builds, renders, parses and lints the TXT records of a sending
// domain: SPF, DKIM and DMARC. It asks no DNS and reads no files.
package record

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// DKIM is a key record (RFC 6376, section 3.6.1).
type DKIM struct {
	Hash      string // h=, "sha256", or several with ":" between; empty for any
	KeyType   string // k=, "rsa" or "ed25519"
	Note      string // n=, for people, as written
	Service   string // s=, "email"; empty for any
	Flags     string // t=, "y", "s" or "y:s"; empty for none
	PublicKey []byte // p=, decoded; empty when the key is revoked
}

// Revoked reports whether the record says that its key is no longer valid.
func (r DKIM) Revoked() bool { return len(r.PublicKey) == 0 }

// Testing reports whether verifiers are to treat the mail as unsigned (t=y).
func (r DKIM) Testing() bool { return hasWord(r.Flags, "y") }

// hasWord reports whether a list with ":" between has a word.
func hasWord(list, word string) bool {
	for entry := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.Trim(entry, whiteSpace), word) {
			return true
		}
	}
	return false
}

// ForKey returns the record of a public key, in the form that the users of
// opendkim-genkey know.
func ForKey(public crypto.PublicKey) (DKIM, error) {
	r := DKIM{Hash: "sha256", Service: "email"}
	switch public := public.(type) {
	case *rsa.PublicKey:
		// SubjectPublicKeyInfo, not the RSAPublicKey that RFC 6376 speaks of:
		// its erratum 3017, and what every verifier reads.
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return DKIM{}, fmt.Errorf("encoding the public key: %w", err)
		}
		r.KeyType, r.PublicKey = "rsa", der
	case ed25519.PublicKey:
		// The 32 bytes as they are (RFC 8463, section 4.2).
		r.KeyType, r.PublicKey = "ed25519", public
	default:
		return DKIM{}, fmt.Errorf("a public key of type %T has no DKIM record", public)
	}
	return r, nil
}

// tags returns the record without its p= tag.
func (r DKIM) tags() string {
	s := "v=DKIM1; "
	if r.Hash != "" {
		s += "h=" + r.Hash + "; "
	}
	s += "k=" + r.KeyType + "; "
	if r.Note != "" {
		s += "n=" + r.Note + "; "
	}
	if r.Service != "" {
		s += "s=" + r.Service + "; "
	}
	if r.Flags != "" {
		s += "t=" + r.Flags + "; "
	}
	return s
}

// String returns the record as one line of text.
func (r DKIM) String() string {
	return r.tags() + "p=" + base64.StdEncoding.EncodeToString(r.PublicKey)
}

// Name returns where the record of a selector is published, without final dot.
func Name(selector, domain string) string { return selector + "._domainkey." + domain }

// genkeyChunk is how much base64 opendkim-genkey puts into one string; a
// string of a TXT record holds at most 255 bytes (RFC 1035, section 3.3).
const genkeyChunk = 250

// Genkey returns the record as opendkim-genkey and the boky/postfix image write
// it to <domain>.txt: one resource record for a zone file, relative to domain.
func (r DKIM) Genkey(selector, domain string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s._domainkey\tIN\tTXT\t( %q", selector, r.tags())
	key := "p=" + base64.StdEncoding.EncodeToString(r.PublicKey)
	for size := genkeyChunk + len("p="); key != ""; size = genkeyChunk {
		size = min(size, len(key))
		fmt.Fprintf(&b, "\n\t  %q", key[:size])
		key = key[size:]
	}
	fmt.Fprintf(&b, " )  ; ----- DKIM key %s for %s\n", selector, domain)
	return b.String()
}
