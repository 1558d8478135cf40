package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"signpost/keystore/libcrypto"
)

// rsaKey is made once, as that takes a while.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// signature is a Signature with the policy of its message.
type signature struct {
	Signature
	Policy *Policy
}

func relaxed(selector string, key crypto.Signer) signature {
	return signature{Signature{Domain: "example.org", Selector: selector, Key: key}, &Policy{Header: Relaxed, Body: Relaxed}}
}

func rsaSignature(t testing.TB) signature {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := libcrypto.Signer(key)
	if err != nil {
		t.Fatal(err)
	}
	return relaxed("rsa", signer)
}

func edSignature(t testing.TB) signature {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	return relaxed("ed", key)
}

// testHeader is a usual header, as a milter gets it.
func testHeader() []Field {
	return []Field{
		{"Received", " from a.example.org (a.example.org [192.0.2.1])\n\tby b.example.org with ESMTP; Fri, 11 Jul 2003 21:01:54 -0700"},
		{"From", " Joe SixPack <joe@example.org>"},
		{"To", " Suzie Q <suzie@shopping.example.net>"},
		{"Subject", " Is dinner ready?"},
		{"Date", " Fri, 11 Jul 2003 21:00:37 -0700 (PDT)"},
		{"Message-ID", " <20030712040037.46341.5F8J@example.org>"},
		{"MIME-Version", " 1.0"},
		{"Content-Type", " text/plain; charset=utf-8"},
	}
}

// chunks yields b in pieces of size octets.
func chunks(b []byte, size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// newBody returns a message that hashes its body so.
func newBody(c Canonicalization) *Message {
	return (&Policy{Body: c}).recipe().NewMessage()
}

// newMessage begins a message with the policy of the first signature.
func newMessage(header []Field, signatures []signature) (*Message, error) {
	r, err := signatures[0].Policy.Compile()
	if err != nil {
		return nil, err
	}
	m := r.NewMessage()
	return m, m.begin(header, signatures)
}

// begin gives the message its header.
func (m *Message) begin(header []Field, signatures []signature) error {
	for _, f := range header {
		m.Field([]byte(f.Name), []byte(f.Value))
	}
	var plain []Signature
	for _, s := range signatures {
		plain = append(plain, s.Signature)
	}
	return m.Begin(plain...)
}

// bodyHash hashes body in chunks of size octets.
func bodyHash(c Canonicalization, body []byte, size int) []byte {
	m := newBody(c)
	for chunk := range chunks(body, size) {
		m.Write(chunk)
	}
	if c == Simple {
		return m.simple.sum(Simple)
	}
	return m.relaxed.sum()
}

// sign signs the message, its body in chunks of size octets.
func sign(t testing.TB, header []Field, body []byte, size int, now time.Time, signatures ...signature) []string {
	t.Helper()
	m, err := newMessage(header, signatures)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := range chunks(body, size) {
		m.Write(chunk)
	}
	values, err := m.Sign(now)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// verify has the reference and go-msgauth verify the signature.
func verify(t testing.TB, header []Field, body []byte, value string, s signature) {
	t.Helper()
	if err := refVerify(header, body, value, s.Key.Public()); err != nil {
		t.Errorf("reference: %v\nsignature %q\nheader %q\nbody %q", err, value, header, clip(body))
	}
	if err := msgauthVerify(header, body, value, s); err != nil {
		t.Errorf("go-msgauth: %v\nsignature %q\nheader %q\nbody %q", err, value, header, clip(body))
	}
}

func clip(body []byte) []byte { return body[:min(len(body), 500)] }

func msgauthVerify(header []Field, body []byte, value string, s signature) error {
	var message bytes.Buffer
	message.WriteString("DKIM-Signature:" + value + "\r\n")
	for _, f := range header {
		message.WriteString(refField(Simple, f) + "\r\n")
	}
	message.WriteString("\r\n")
	message.Write(body)
	results, err := msgauth.VerifyWithOptions(&message, &msgauth.VerifyOptions{
		MaxVerifications: 1,
		LookupTXT: func(name string) ([]string, error) {
			if want := s.Selector + "._domainkey." + s.Domain; name != want {
				return nil, errors.New("asked for " + name + ", not " + want)
			}
			return []string{record(s.Key.Public())}, nil
		},
	})
	if err != nil && !errors.Is(err, msgauth.ErrTooManySignatures) {
		return err
	}
	return results[0].Err
}

func record(key crypto.PublicKey) string {
	if key, ok := key.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err.Error()
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// tag returns the value of a tag without white space.
func tag(value, name string) string {
	for t := range strings.SplitSeq(value, ";") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(t), name+"="); ok {
			return strings.Join(strings.Fields(v), "")
		}
	}
	return ""
}
