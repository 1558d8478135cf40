package milter

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signpost/keystore"
	"signpost/keystore/rotation"
)

// keysFor returns a book with an Ed25519 key, quick to make and to sign with, for
// each domain. A domain with a "!" before it has a broken key.
func keysFor(t testing.TB, domains ...string) *rotation.Book {
	t.Helper()
	dir := t.TempDir()
	for _, domain := range domains {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if domain[0] == '!' {
			domain, data = domain[1:], data[:40]
		}
		if err := os.WriteFile(filepath.Join(dir, domain+".private"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	store, err := keystore.Open(keystore.Options{Dir: dir}, log)
	if err != nil {
		t.Fatal(err)
	}
	book, err := rotation.Open(store, rotation.Off, "", log)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func networks(list ...string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range list {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	return prefixes
}

func TestDecide(t *testing.T) {
	keys := keysFor(t, "example.org", "xn--mnchen-3ya.example", "!broken.example", "sub.parent.example", "parent.example").Signing
	rules := Rules{
		Trusted:  networks("127.0.0.0/8", "10.0.0.0/8", "fd00::/8"),
		MustSign: map[string]bool{"must.example": true, "example.org": true, "must.parent.example": true},
	}
	subdomains := rules
	subdomains.Subdomains = true
	inside := Client{Addr: netip.MustParseAddr("10.1.2.3")}
	outside := Client{Addr: netip.MustParseAddr("192.0.2.1")}
	from := func(values ...string) []string { return values }
	for name, test := range map[string]struct {
		rules    Rules
		client   Client
		from     []string
		reason   Reason
		tempFail bool
		signs    string // the domain whose key signs
	}{
		"trusted network":           {rules, inside, from(" a@example.org"), Signed, false, "example.org"},
		"IPv4 in IPv6":              {rules, Client{Addr: netip.MustParseAddr("::ffff:10.1.2.3")}, from(" a@example.org"), Signed, false, "example.org"},
		"IPv6":                      {rules, Client{Addr: netip.MustParseAddr("fd12::1%eth0")}, from(" a@example.org"), Signed, false, "example.org"},
		"stranger":                  {rules, outside, from(" a@example.org"), UntrustedClient, false, ""},
		"stranger that logged in":   {rules, Client{Addr: outside.Addr, Login: "jane"}, from(" a@example.org"), Signed, false, "example.org"},
		"local submission":          {rules, Client{Local: true}, from(" a@example.org"), Signed, false, "example.org"},
		"nobody said who":           {rules, Client{}, from(" a@example.org"), UntrustedClient, false, ""},
		"stranger without a From":   {rules, outside, from(), UntrustedClient, false, ""},
		"no From":                   {rules, inside, from(), FromMissing, false, ""},
		"two Froms":                 {rules, inside, from(" a@example.org", " a@example.org"), FromMultiple, false, ""},
		"domain in capitals":        {rules, inside, from(" a@EXAMPLE.ORG"), Signed, false, "example.org"},
		"addresses of one domain":   {rules, inside, from(" a@example.org, b@Example.org"), Signed, false, "example.org"},
		"addresses of two domains":  {rules, inside, from(" a@example.org, b@example.net"), FromMultiple, false, ""},
		"From that is no address":   {rules, inside, from(" <a@example.org"), FromInvalid, false, ""},
		"domain that is no name":    {rules, inside, from(" a@exa_mple.org"), FromInvalid, false, ""},
		"address literal":           {rules, inside, from(" a@[10.0.0.1]"), FromInvalid, false, ""},
		"single label":              {rules, inside, from(" root@localhost"), NoKey, false, ""},
		"U-labels":                  {rules, inside, from(" a@MÜNCHEN.example"), Signed, false, "xn--mnchen-3ya.example"},
		"A-labels":                  {rules, inside, from(" a@xn--mnchen-3ya.example"), Signed, false, "xn--mnchen-3ya.example"},
		"no key":                    {rules, inside, from(" a@other.example"), NoKey, false, ""},
		"no key, but must be":       {rules, inside, from(" a@must.example"), NoKey, true, ""},
		"broken key":                {rules, inside, from(" a@broken.example"), KeyBroken, true, ""},
		"subdomain":                 {rules, inside, from(" a@x.example.org"), NoKey, false, ""},
		"subdomain, allowed":        {subdomains, inside, from(" a@x.y.example.org"), Signed, false, "example.org"},
		"subdomain with its own":    {subdomains, inside, from(" a@sub.parent.example"), Signed, false, "sub.parent.example"},
		"below one with its own":    {subdomains, inside, from(" a@x.sub.parent.example"), Signed, false, "sub.parent.example"},
		"subdomain, must be":        {subdomains, inside, from(" a@x.must.example"), NoKey, true, ""},
		"subdomain of a broken one": {subdomains, inside, from(" a@x.broken.example"), KeyBroken, true, ""},
		"subdomain that must be, with a parent's key": {subdomains, inside, from(" a@must.parent.example"), Signed, false, "parent.example"},
		"name of a megabyte":                          {rules, inside, from(" a@" + strings.Repeat("語", 1<<20) + ".example"), FromInvalid, false, ""},
		"label of a megabyte":                         {rules, inside, from(" a@" + strings.Repeat("x", 1<<20)), FromInvalid, false, ""},
		"the top-level domain":                        {subdomains, inside, from(" a@other.example"), NoKey, false, ""},
	} {
		got := test.rules.Decide(test.client, test.from, keys)
		signs := ""
		if len(got.Keys) > 0 {
			signs = got.Keys[0].Domain
		}
		if got.Err != nil && len(got.Err.Error()) > 2000 || len(got.Author) > 253 {
			t.Errorf("%s: fills the log with %d bytes", name, len(got.Err.Error())+len(got.Author))
		}
		if got.Reason != test.reason || got.TempFail != test.tempFail || signs != test.signs {
			t.Errorf("%s: got %s, tempfail %v, key of %q (%v), want %s, %v, %q",
				name, got.Reason, got.TempFail, signs, got.Err, test.reason, test.tempFail, test.signs)
		}
	}
}
