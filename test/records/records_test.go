package records

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"signpost/keystore/record"
	"signpost/keystore/record/render"
)

// rsaPublic is as long as a public key of that size. No private half is needed.
func rsaPublic(t *testing.T, bits uint) *rsa.PublicKey {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits-1))
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n, int(bits-1), 1)
	return &rsa.PublicKey{N: n, E: 65537}
}

// published are the records of a domain with a key of every size, and some
// texts that are hard to write down.
func published(t *testing.T, domain string) []render.Record {
	edwards, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	records := []render.Record{
		{Name: domain, Type: "TXT", Value: "v=spf1 mx exists:%{i}._spf.%{d} -all", TTL: 3600, Why: "SPF; with a semicolon"},
		{Name: domain, Type: "MX", Value: "0 .", TTL: 3600},
		{Name: "_dmarc." + domain, Type: "TXT", Value: "v=DMARC1; p=reject; rua=mailto:a@example.org,mailto:b@example.org; adkim=s; aspf=s", TTL: 3600},
		{Name: "*._domainkey." + domain, Type: "TXT", Value: "v=DKIM1; p=", TTL: 60},
		{Name: "_quotes." + domain, Type: "TXT", Value: `" \ ; ( ) @ $TTL \000 \" "" ` + strings.Repeat(`\"`, 300), TTL: 3600},
		{Name: "_utf8." + domain, Type: "TXT", Value: "x" + strings.Repeat("grüße, 世界; ", 40), TTL: 3600},
	}
	for selector, key := range map[string]crypto.PublicKey{
		"s1024": rsaPublic(t, 1024), "s2048": rsaPublic(t, 2048), "s4096": rsaPublic(t, 4096), "ed.25519": edwards,
	} {
		r, err := record.ForKey(key)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, render.Record{Name: record.Name(selector, domain), Type: "TXT", Value: r.String(), TTL: 3600, Why: "key"})
	}
	return records
}

func rendered(t *testing.T, format, zone string, records []render.Record) string {
	t.Helper()
	text, err := render.Records(format, zone, records)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// where says whether mail is sent from the zone itself or from a name below it.
var where = []struct{ zone, domain string }{
	{"example.org", "example.org"},
	{"example.org", "news.example.org"},
	{"xn--bcher-kva.example", "xn--bcher-kva.example"},
}

func lines(records []render.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprintf("%s. %s %d %s", r.Name, r.Type, r.TTL, r.Value))
	}
	return all
}

// linesOf is lines of what a server or a checker gave. SOA and NS do not count.
func linesOf(t *testing.T, rrs []dns.RR) []string {
	t.Helper()
	var all []string
	for _, rr := range rrs {
		h := rr.Header()
		switch rr := rr.(type) {
		case *dns.MX:
			all = append(all, fmt.Sprintf("%s MX %d %d %s", h.Name, h.Ttl, rr.Preference, rr.Mx))
		case *dns.TXT:
			all = append(all, fmt.Sprintf("%s TXT %d %s", h.Name, h.Ttl, text(t, rr)))
		}
	}
	return all
}

// text returns the text of a record as it goes over the wire, where nothing is
// escaped.
func text(t *testing.T, rr *dns.TXT) string {
	t.Helper()
	wire := make([]byte, 70000)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for data := wire[end-int(rr.Hdr.Rdlength) : end]; len(data) > 0; {
		size := 1 + int(data[0])
		all = append(all, data[1:size]...)
		data = data[size:]
	}
	return string(all)
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("unexpected: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d records, want %d", len(got), len(want))
	}
}
