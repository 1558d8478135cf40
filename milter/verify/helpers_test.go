package verify

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
	"signpost/milter/dkim"
)

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// testKey is an RSA or an Ed25519 key, made once.
func testKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	if kind == "ed25519" {
		return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	}
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var signedAt = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

func testHeader() []dkim.Field {
	return []dkim.Field{
		{Name: "From", Value: " Joe <joe@example.org>"},
		{Name: "To", Value: " jane@example.net"},
		{Name: "Subject", Value: " Dinner"},
		{Name: "Date", Value: " Sun, 22 Nov 2026 20:00:00 +0000"},
	}
}

const testBody = "Hi.\r\n\r\nAre you hungry yet?\r\nJoe.\r\n"

// sign signs for example.org with selector s1.
func sign(t testing.TB, kind string, header []dkim.Field, body string) string {
	t.Helper()
	recipe, err := (&dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	m := recipe.NewMessage()
	for _, f := range header {
		m.Field([]byte(f.Name), []byte(f.Value))
	}
	if err := m.Begin(dkim.Signature{Domain: "example.org", Selector: "s1", Key: testKey(t, kind)}); err != nil {
		t.Fatal(err)
	}
	m.Write([]byte(body))
	values, err := m.Sign(signedAt)
	if err != nil {
		t.Fatal(err)
	}
	text := "DKIM-Signature:" + values[0] + "\r\n"
	for _, f := range header {
		text += f.Name + ":" + f.Value + "\r\n"
	}
	return text + "\r\n" + body
}

// zone has the key of sign, a policy and an SPF record, and more.
func zone(t testing.TB, kind, more string) *dns.Zone {
	t.Helper()
	key, err := record.ForKey(testKey(t, kind).Public())
	if err != nil {
		t.Fatal(err)
	}
	text := key.Genkey("s1", "example.org") + "@ TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n" + more + "\n"
	parser := miekg.NewZoneParser(strings.NewReader(text), "example.org.", "")
	parser.SetDefaultTTL(60)
	var records []miekg.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return dns.NewZone(records)
}

func judge(t testing.TB, message string, o Options) *Judgement {
	t.Helper()
	m, err := Read(strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	if o.Now.IsZero() {
		o.Now = signedAt.Add(time.Minute)
	}
	return m.Judge(context.Background(), o)
}

// failing is a source in which names with a prefix cannot be looked up.
type failing struct {
	dns.Source
	prefix string
}

func (f failing) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	if strings.HasPrefix(name, f.prefix) {
		return nil, &dns.LookupError{Name: name, Type: miekg.TypeToString[qtype], Kind: dns.Timeout, Err: errors.New("test")}
	}
	return f.Source.Lookup(ctx, name, qtype)
}
