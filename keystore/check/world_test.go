package check

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/place"
	"signpost/keystore/record"
	"signpost/test/lab/nameserver"
)

// testKeys are made once: RSA keys take long.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	first, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, second, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	_, third, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"s1": first, "e1": second, "e0": third}
})

// keyRecord is what should be published for a key.
func keyRecord(t testing.TB, selector string) string {
	t.Helper()
	r, err := record.ForKey(testKeys()[selector].Public())
	if err != nil {
		t.Fatal(err)
	}
	return r.String()
}

// text is a value as it stands in a zone file.
func text(value string) string {
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(value), 250) {
		b.WriteString(` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(chunk)) + `"`)
	}
	return "TXT" + b.String()
}

// cleanZone is a zone without a fault. DOMAIN stands for its name, KEY for the
// record of its key.
var cleanZone = []string{
	"@ SOA ns1 root 1 7200 900 1209600 60",
	"@ NS ns1",
	"ns1 A 127.0.0.1",
	"@ MX 10 mail",
	"mail A 192.0.2.1",
	"mail AAAA 2001:db8::1",
	`mail TXT "v=spf1 a -all"`,
	`@ TXT "v=spf1 mx -all"`,
	"s1._domainkey KEY",
	`_dmarc TXT "v=DMARC1; p=reject; rua=mailto:dmarc@DOMAIN"`,
}

// zoneText is the clean zone without the lines that begin so, and with others.
func zoneText(t testing.TB, domain string, without, with []string) string {
	var lines []string
	for _, line := range cleanZone {
		if !slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(line, prefix) }) {
			lines = append(lines, line)
		}
	}
	zone := strings.Join(append(lines, with...), "\n") + "\n"
	zone = strings.ReplaceAll(zone, "DOMAIN", domain)
	return strings.ReplaceAll(zone, "KEY", text(keyRecord(t, "s1")))
}

// above are the root, which here holds all top level domains, and the names of
// addresses.
func above() map[string]string {
	const soa = "@ SOA ns. root. 1 7200 900 1209600 60\n@ NS ns.\n"
	return map[string]string{
		".": soa + "ns. A 127.0.0.1\n",
		"2.0.192.in-addr.arpa": soa + "1 PTR mail.clean.test.\n" +
			"3 PTR one.clean.test.\n3 PTR three.clean.test.\n4 PTR mail.clean.test.\n5 PTR nowhere.clean.test.\n",
		"8.b.d.0.1.0.0.2.ip6.arpa": soa + "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mail.clean.test.\n",
	}
}

// serveZones starts NSD with the zones until the test ends.
func serveZones(t testing.TB, zones map[string]string) *dns.Resolver {
	t.Helper()
	all := above()
	for name, zone := range zones {
		all[name] = zone
	}
	server, err := nameserver.StartNSD(t.TempDir(), "", all, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	return resolverAt(net.JoinHostPort("127.0.0.1", server.Port))
}

func resolverAt(server string) *dns.Resolver {
	r := &dns.Resolver{Servers: []string{server}, Patience: 2 * time.Second, Attempts: 2}
	return r.Remembering()
}

// keysFor makes a key directory with keys for the domains, the later of the
// selectors the newer.
func keysFor(t testing.TB, domains map[string][]string) *keystore.Snapshot {
	t.Helper()
	dir := t.TempDir()
	for domain, selectors := range domains {
		if err := os.Mkdir(filepath.Join(dir, domain), 0o700); err != nil {
			t.Fatal(err)
		}
		for i, selector := range selectors {
			der, err := x509.MarshalPKCS8PrivateKey(testKeys()[selector])
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, domain, selector+".private")
			if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
				t.Fatal(err)
			}
			when := time.Now().Add(time.Duration(i-100) * time.Hour)
			if err := os.Chtimes(file, when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	keys, err := keystore.Load(keystore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// options are those that the clean zone is clean with.
func options(r *dns.Resolver, keys *keystore.Snapshot) Options {
	return Options{Resolver: r, Keys: keys, KeysIn: place.Directory(keystore.Options{Dir: "/keys"}), Helo: "mail.clean.test",
		From: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, FromIs: "given"}
}

// told is what a report says, for the messages of tests.
func told(r *Report) string {
	var b strings.Builder
	for _, good := range r.Good {
		fmt.Fprintf(&b, "\n\tgood: %s: %s", good.Name, good.What)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n\t%s %s: %s: %s\n\t\t%s\n\t\t%s", f.Level, f.Code, f.Name, f.What, f.Effect, strings.ReplaceAll(f.Advice(), "\n", "\n\t\t"))
	}
	return b.String() + "\n\t" + r.Verdict
}

// codes are the findings' codes, in order, each once: without that of a zone that is
// not signed, as those of NSD are.
func codes(r *Report) []string {
	var all []string
	for _, f := range r.Findings {
		if f.Code != "dnssec-unsigned" {
			all = append(all, f.Code)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
