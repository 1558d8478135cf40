package record

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// form is how a key is written in p=. Only formRSA and formEd25519 are right.
type form int

const (
	formNone form = iota
	formRSA
	formEd25519
	formPKCS1
	formEd25519SPKI
	formPrivate
)

// keyInfo is what the bytes of p= turn out to be.
type keyInfo struct {
	form    form
	keyType string // "rsa" or "ed25519"
	bits    int
	public  []byte // as it should stand in p=
	detail  string // of formNone: what it is
}

// String names a key so that two can be told apart.
func (k keyInfo) String() string {
	if k.form == formNone {
		return k.detail
	}
	sum := sha256.Sum256(k.public)
	name := "Ed25519"
	if k.keyType == "rsa" {
		name = fmt.Sprintf("RSA of %d bits", k.bits)
	}
	return fmt.Sprintf("%s with SHA-256 %x...", name, sum[:6])
}

func classify(data []byte) keyInfo {
	if len(data) == ed25519.PublicKeySize {
		return keyInfo{form: formEd25519, keyType: "ed25519", bits: 256, public: data}
	}
	if key, err := x509.ParsePKIXPublicKey(data); err == nil {
		switch key := key.(type) {
		case *rsa.PublicKey:
			return keyInfo{form: formRSA, keyType: "rsa", bits: key.N.BitLen(), public: data}
		case ed25519.PublicKey:
			return keyInfo{form: formEd25519SPKI, keyType: "ed25519", bits: 256, public: key}
		}
		return keyInfo{detail: fmt.Sprintf("a key of type %T, with which DKIM cannot sign", key)}
	}
	if key, err := x509.ParsePKCS1PublicKey(data); err == nil {
		public, _ := x509.MarshalPKIXPublicKey(key)
		return keyInfo{form: formPKCS1, keyType: "rsa", bits: key.N.BitLen(), public: public}
	}
	if isPrivate(data) {
		return keyInfo{form: formPrivate}
	}
	if _, err := x509.ParseCertificate(data); err == nil {
		return keyInfo{detail: "it is a certificate"}
	}
	if whole := lengthOfDER(data); whole > len(data) {
		return keyInfo{detail: fmt.Sprintf("it is cut off, %d of %d bytes are there", len(data), whole)}
	}
	return keyInfo{detail: fmt.Sprintf("its %d bytes are neither an RSA key nor the 32 of an Ed25519 key", len(data))}
}

func isPrivate(data []byte) bool {
	if _, err := x509.ParsePKCS8PrivateKey(data); err == nil {
		return true
	}
	_, err := x509.ParsePKCS1PrivateKey(data)
	return err == nil
}

// seedOf reports whether data is the secret of an Ed25519 key, which has as many
// bytes as the public half, or secret and public half together.
func seedOf(data, public []byte) bool {
	if len(public) != ed25519.PublicKeySize || len(data) != ed25519.SeedSize && len(data) != ed25519.PrivateKeySize {
		return false
	}
	key := ed25519.NewKeyFromSeed(data[:ed25519.SeedSize])
	return bytes.Equal(key.Public().(ed25519.PublicKey), public)
}

// lengthOfDER returns how long the SEQUENCE that data begins with should be, or 0.
func lengthOfDER(data []byte) int {
	switch {
	case len(data) < 4 || data[0] != 0x30:
		return 0
	case data[1] < 0x80:
		return 2 + int(data[1])
	case data[1] == 0x81:
		return 3 + int(data[2])
	case data[1] == 0x82:
		return 4 + int(data[2])<<8 + int(data[3])
	}
	return 0
}

// relation is how a text is made of pieces of another.
type relation int

const (
	unrelated relation = iota
	reordered
	partLost
	partTwice
)

// compare finds out whether got is made of long pieces of want, which is what
// remains of a value whose parts were pasted wrongly. Keys of one size begin
// with the same bytes, but what follows has nothing in common.
func compare(got, want string) relation {
	const least = 16
	covered := make([]bool, len(want))
	for rest := got; rest != ""; {
		at, n := longestPrefix(rest, want)
		if n < least && (n < len(rest) || rest == got) {
			return unrelated
		}
		for i := range n {
			covered[at+i] = true
		}
		rest = rest[n:]
	}
	for _, c := range covered {
		if !c {
			return partLost
		}
	}
	if len(got) > len(want) {
		return partTwice
	}
	return reordered
}

// longestPrefix returns where in text the longest prefix of s stands.
func longestPrefix(s, text string) (at, n int) {
	for i := range len(text) {
		length := 0
		for length < len(s) && i+length < len(text) && s[length] == text[i+length] {
			length++
		}
		if length > n {
			at, n = i, length
		}
	}
	return at, n
}

// misordered reports whether the strings of the record, in another order, are
// the wanted record. In one string, the end can stand before the beginning.
func (l *dkimLinter) misordered(txt TXT, text string) bool {
	if len(l.key.PublicKey) == 0 {
		return false
	}
	if l.isWanted(text) {
		return false
	}
	if len(txt) > 1 && len(txt) <= mostParts {
		return anyOrder(nil, txt, l.isWanted)
	}
	at := strings.Index(text, "v=DKIM1")
	return at > 0 && l.isWanted(text[at:]+text[:at])
}

// mostParts bounds the orders to try: 120.
const mostParts = 5

func (l *dkimLinter) isWanted(text string) bool {
	r, err := ParseDKIM(text)
	return err == nil && len(r.PublicKey) > 0 && bytes.Equal(r.PublicKey, l.key.PublicKey)
}

// scattered reports whether several records together are the wanted one.
func (l *dkimLinter) scattered(published []TXT) bool {
	if len(published) < 2 || len(published) > mostParts {
		return false
	}
	var parts []string
	for _, t := range published {
		if l.isWanted(t.Text()) {
			return false
		}
		mended, _ := mend(t.Text())
		parts = append(parts, mended)
	}
	return anyOrder(nil, parts, l.isWanted)
}

// headless reports whether only a later part of the wanted key is published.
func (l *dkimLinter) headless(text string) bool {
	text = spaceless(text)
	return len(text) >= 16 && strings.Contains(base64.StdEncoding.EncodeToString(l.key.PublicKey), text)
}

func anyOrder(before, left []string, right func(string) bool) bool {
	if len(left) == 0 {
		return right(strings.Join(before, ""))
	}
	for i := range left {
		rest := append(append([]string(nil), left[:i]...), left[i+1:]...)
		if anyOrder(append(before[:len(before):len(before)], left[i]), rest, right) {
			return true
		}
	}
	return false
}
