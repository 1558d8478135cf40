package dns

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"signpost/keystore/record"
	"signpost/test/lab/nameserver"
)

const keyName = "s1._domainkey.example.org"

// keyRecord is the record of the key with this seed.
func keyRecord(t *testing.T, seed byte) record.DKIM {
	t.Helper()
	key := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), seed))
	r, err := record.ForKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func keyLine(texts ...string) (lines []string) {
	for _, text := range texts {
		lines = append(lines, fmt.Sprintf("%s. 60 IN TXT %q", keyName, text))
	}
	return lines
}

// What a verifier could use is there. All else that the DNS says clearly is a
// record that is missing, and no failure is.
func TestKey(t *testing.T) {
	t.Parallel()
	want, other := keyRecord(t, 1), keyRecord(t, 2)
	for name, test := range map[string]struct {
		handler  dns.HandlerFunc
		presence Presence
		text     string
	}{
		"published":      {answering(t, keyLine(want.String())...), There, "published"},
		"without v=":     {answering(t, keyLine(strings.TrimPrefix(want.String(), "v=DKIM1; "))...), There, "published"},
		"by a CNAME":     {answering(t, keyName+". 60 IN CNAME s1.example.net.", `s1.example.net. 60 IN TXT "`+want.String()+`"`), There, "published"},
		"another key":    {answering(t, keyLine(other.String())...), Missing, ""},
		"revoked":        {answering(t, keyLine("v=DKIM1; k=ed25519; p=")...), Missing, ""},
		"two records":    {answering(t, keyLine(want.String(), other.String())...), Missing, ""},
		"no record":      {answering(t), Missing, "no TXT record at this name"},
		"no such name":   {nameserver.Code(dns.RcodeNameError), Missing, "no such name"},
		"not a record":   {answering(t, keyLine("hello")...), Missing, ""},
		"SERVFAIL":       {nameserver.Code(dns.RcodeServerFailure), Unknown, "SERVFAIL"},
		"REFUSED":        {nameserver.Code(dns.RcodeRefused), Unknown, "REFUSED"},
		"nothing":        {nameserver.Silent, Unknown, ""},
		"CNAMEs in ring": {answering(t, keyName+". 60 IN CNAME "+keyName+"."), Unknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Resolver{Servers: []string{nameserver.Serve(t, test.handler)}, Patience: 300 * time.Millisecond, Attempts: 1}
			got := Key(t.Context(), r, keyName, want)
			if got.Presence != test.presence || !strings.Contains(got.Text, test.text) || got.Text == "" {
				t.Errorf("got %s, %q", got.Presence, got.Text)
			}
		})
	}
}

// A key that only some name servers have is not there yet, and not gone yet.
func TestKeyAtAllNameServers(t *testing.T) {
	t.Parallel()
	want := keyRecord(t, 1)
	authoritative := func(records ...string) dns.HandlerFunc {
		answer := answering(t, records...)
		return func(w dns.ResponseWriter, query *dns.Msg) { answer(authoritativeWriter{w}, query) }
	}
	has, lacks := authoritative(keyLine(want.String())...), authoritative()
	cached := KeyAnswer{Missing, "said by a cache"}
	leads := func(to string) dns.HandlerFunc { return authoritative(keyName + ". 60 IN CNAME " + to + ".") }
	for name, test := range map[string]struct {
		servers   []dns.HandlerFunc
		presence  Presence
		text      string
		elsewhere string
	}{
		"all lead elsewhere":        {[]dns.HandlerFunc{leads("a.example.net"), leads("a.example.net"), nameserver.Silent}, Missing, "", "a.example.net"},
		"one leads elsewhere":       {[]dns.HandlerFunc{leads("a.example.net"), lacks}, Unknown, "differ: some have a CNAME", ""},
		"they lead to two places":   {[]dns.HandlerFunc{leads("a.example.net"), leads("b.example.net")}, Unknown, "differ: some have a CNAME", ""},
		"one has it, one leads":     {[]dns.HandlerFunc{has, leads("a.example.net")}, Unknown, "not yet at ns1", ""},
		"it leads to the same zone": {[]dns.HandlerFunc{leads("a.example.org"), leads("a.example.org")}, Missing, "no TXT record", ""},
		"all have it":               {[]dns.HandlerFunc{has, has}, There, "published at all 2 name servers that answer", ""},
		"half of them":              {[]dns.HandlerFunc{has, lacks}, Unknown, "name servers differ: not yet at ns1", ""},
		"none":                      {[]dns.HandlerFunc{lacks, lacks}, Missing, "no TXT record", ""},
		"one has it, one is silent": {[]dns.HandlerFunc{has, nameserver.Silent}, There, "at all 1", ""},
		"one lacks it, one fails":   {[]dns.HandlerFunc{lacks, nameserver.Code(dns.RcodeServerFailure)}, Missing, "no TXT record", ""},
		"none answers":              {[]dns.HandlerFunc{nameserver.Silent, nameserver.Code(dns.RcodeRefused)}, Missing, "said by a cache", ""},
		"lame":                      {[]dns.HandlerFunc{answering(t, keyLine(want.String())...)}, Missing, "said by a cache", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := &NameServers{Zone: "example.org"}
			for i, handler := range test.servers {
				zone.Servers = append(zone.Servers, NameServer{Name: fmt.Sprintf("ns%d", i), Addr: nameserver.Serve(t, handler)})
			}
			got, elsewhere := zone.key(t.Context(), keyName, want, 300*time.Millisecond, cached)
			if elsewhere != test.elsewhere {
				t.Errorf("it leads to %q, not %q", elsewhere, test.elsewhere)
			}
			if got.Presence != test.presence || !strings.Contains(got.Text, test.text) {
				t.Errorf("got %s, %q", got.Presence, got.Text)
			}
		})
	}
}
