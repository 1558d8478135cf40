package milter

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
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
	book, err := rotation.Open(store, rotation.Off, rotation.State{}, log)
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
	known := keysFor(t, "example.org", "xn--mnchen-3ya.example", "!broken.example", "sub.parent.example", "parent.example").Signing
	keys := func(domain string) ([]*keystore.Key, error) {
		if domain == "unknown.example" {
			return nil, fmt.Errorf("store: %w", keystore.ErrNoAnswer)
		}
		return known(domain)
	}
	rules := Rules{
		Trusted:  networks("127.0.0.0/8", "10.0.0.0/8", "fd00::/8"),
		MustSign: map[string]bool{"must.example": true, "example.org": true, "must.parent.example": true},
	}
	subdomains := rules
	subdomains.Subdomains = true
	deferring := rules
	deferring.DeferUnsignable = true
	inside := Client{Addr: netip.MustParseAddr("10.1.2.3")}
	outside := Client{Addr: netip.MustParseAddr("192.0.2.1")}
	from := func(values ...string) []string { return values }
	for name, test := range map[string]struct {
		rules  Rules
		client Client
		from   []string
		reason Reason
		action Action
		signs  string // the domain whose key signs
	}{
		"trusted network":                             {rules, inside, from(" a@example.org"), Signed, Accept, "example.org"},
		"IPv4 in IPv6":                                {rules, Client{Addr: netip.MustParseAddr("::ffff:10.1.2.3")}, from(" a@example.org"), Signed, Accept, "example.org"},
		"IPv6":                                        {rules, Client{Addr: netip.MustParseAddr("fd12::1%eth0")}, from(" a@example.org"), Signed, Accept, "example.org"},
		"stranger":                                    {rules, outside, from(" a@example.org"), UntrustedClient, Accept, ""},
		"stranger that logged in":                     {rules, Client{Addr: outside.Addr, Login: "jane"}, from(" a@example.org"), Signed, Accept, "example.org"},
		"local submission":                            {rules, Client{Local: true}, from(" a@example.org"), Signed, Accept, "example.org"},
		"nobody said who":                             {rules, Client{}, from(" a@example.org"), UntrustedClient, Accept, ""},
		"stranger without a From":                     {rules, outside, from(), UntrustedClient, Accept, ""},
		"no From":                                     {rules, inside, from(), FromMissing, Accept, ""},
		"two Froms":                                   {rules, inside, from(" a@other.example", " a@other.example"), FromMultiple, Accept, ""},
		"two Froms with a key":                        {rules, inside, from(" a@other.example", " a@example.org"), FromMultiple, Reject, ""},
		"two Froms that must be":                      {rules, inside, from(" a@must.example", " a@other.example"), FromMultiple, Reject, ""},
		"two Froms, broken key":                       {rules, inside, from(" a@broken.example", " a@other.example"), FromMultiple, Reject, ""},
		"two Froms, to be deferred":                   {deferring, inside, from(" a@other.example", " a@must.example"), FromMultiple, TempFail, ""},
		"two Froms of a stranger":                     {rules, outside, from(" a@must.example", " a@example.org"), UntrustedClient, Accept, ""},
		"two Froms below":                             {rules, inside, from(" a@x.must.example", " a@x.example.org"), FromMultiple, Accept, ""},
		"two Froms below, allowed":                    {subdomains, inside, from(" a@other.example", " a@x.y.must.example"), FromMultiple, Reject, ""},
		"other From in the name":                      {rules, inside, from(" a@must.example <a@other.example>"), FromAmbiguous, Reject, ""},
		"quoted, it is a name":                        {rules, inside, from(` "a@must.example" <a@other.example>`), NoKey, Accept, ""},
		"domain in capitals":                          {rules, inside, from(" a@EXAMPLE.ORG"), Signed, Accept, "example.org"},
		"addresses of one domain":                     {rules, inside, from(" a@example.org, b@Example.org"), Signed, Accept, "example.org"},
		"addresses of two domains":                    {rules, inside, from(" a@example.org, b@example.net"), FromMultiple, Reject, ""},
		"From that is no address":                     {rules, inside, from(" <a@example.org"), FromInvalid, Reject, ""},
		"that of nobody here":                         {rules, inside, from(" <a@other.example"), FromInvalid, Accept, ""},
		"address in encoded words":                    {rules, inside, from(" =?utf-8?q?a=40must.example?="), FromInvalid, Reject, ""},
		"domain that is no name":                      {rules, inside, from(" a@exa!mple.org"), FromInvalid, Accept, ""},
		"address literal":                             {rules, inside, from(" a@[10.0.0.1]"), FromInvalid, Accept, ""},
		"single label":                                {rules, inside, from(" root@localhost"), NoKey, Accept, ""},
		"U-labels":                                    {rules, inside, from(" a@münchen.EXAMPLE"), Signed, Accept, "xn--mnchen-3ya.example"},
		"U-labels to be mapped":                       {rules, inside, from(" a@MÜNCHEN.example"), FromAmbiguous, Reject, ""},
		"A-labels":                                    {rules, inside, from(" a@xn--mnchen-3ya.example"), Signed, Accept, "xn--mnchen-3ya.example"},
		"no key":                                      {rules, inside, from(" a@other.example"), NoKey, Accept, ""},
		"no key, but must be":                         {rules, inside, from(" a@must.example"), NoKey, TempFail, ""},
		"store that does not answer":                  {rules, inside, from(" a@unknown.example"), KeyUnknown, TempFail, ""},
		"two authors, of one nothing is known":        {rules, inside, from(" a@unknown.example, b@nobody.example"), FromMultiple, TempFail, ""},
		"two authors, one with a key":                 {rules, inside, from(" a@unknown.example, b@broken.example"), FromMultiple, Reject, ""},
		"broken key":                                  {rules, inside, from(" a@broken.example"), KeyBroken, TempFail, ""},
		"subdomain":                                   {rules, inside, from(" a@x.example.org"), NoKey, Accept, ""},
		"subdomain, allowed":                          {subdomains, inside, from(" a@x.y.example.org"), Signed, Accept, "example.org"},
		"subdomain with its own":                      {subdomains, inside, from(" a@sub.parent.example"), Signed, Accept, "sub.parent.example"},
		"below one with its own":                      {subdomains, inside, from(" a@x.sub.parent.example"), Signed, Accept, "sub.parent.example"},
		"subdomain, must be":                          {subdomains, inside, from(" a@x.must.example"), NoKey, TempFail, ""},
		"subdomain of a broken one":                   {subdomains, inside, from(" a@x.broken.example"), KeyBroken, TempFail, ""},
		"subdomain that must be, with a parent's key": {subdomains, inside, from(" a@must.parent.example"), Signed, Accept, "parent.example"},
		"name of a megabyte":                          {rules, inside, from(" a@" + strings.Repeat("語", 1<<20) + ".example"), FromInvalid, Reject, ""},
		"label of a megabyte":                         {rules, inside, from(" a@" + strings.Repeat("x", 1<<20)), FromInvalid, Reject, ""},
		"host of a name with an underscore":           {subdomains, inside, from(" root@web_1.parent.example"), Signed, Accept, "parent.example"},
		"the same by itself":                          {rules, inside, from(" root@web_1.parent.example"), NoKey, Accept, ""},
		"host of a name that is none":                 {subdomains, inside, from(" root@web!1.parent.example"), FromInvalid, Reject, ""},
		"that by itself":                              {rules, inside, from(" root@web!1.parent.example"), FromInvalid, Accept, ""},
		"the top-level domain":                        {subdomains, inside, from(" a@other.example"), NoKey, Accept, ""},
	} {
		got := test.rules.Decide(test.client, test.from, keys)
		signs := ""
		if len(got.Keys) > 0 {
			signs = got.Keys[0].Domain
		}
		if got.Err != nil && len(got.Err.Error()) > 2000 || len(got.Author) > 253 {
			t.Errorf("%s: fills the log with %d bytes", name, len(got.Err.Error())+len(got.Author))
		}
		if got.Reason != test.reason || got.Action != test.action || signs != test.signs {
			t.Errorf("%s: got %s, action %v, key of %q (%v), want %s, %v, %q",
				name, got.Reason, got.Action, signs, got.Err, test.reason, test.action, test.signs)
		}
	}
}
