package records

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// providers are those that signpost can publish through, and where their API is.
var providers = map[string]struct {
	host string
	api  func(*cloud) http.Handler
	how  string // %s is a file with the token
	says string // of it, in errors
}{
	"cloudflare": {"api.cloudflare.com", (*cloud).cloudflare, "cloudflare:token-file=%s", "at cloudflare"},
	"desec":      {"desec.io", (*cloud).desec, "desec:token-file=%s", "at desec"},
	"route53":    {"", (*cloud).route53, "exec:" + route53Script, "with " + route53Script},
}

// route53Script needs the program aws.
const route53Script = "../../keystore/publish/examples/route53.sh"

// A rotation without a person, through the API of a provider, of a domain whose
// own DNS was set once: two slots, whose records are in the zone at the provider.
// Keys take turns at them. When the provider fails nothing else changes.
func TestRotateThroughProviders(t *testing.T) {
	t.Parallel()
	signpost := os.Getenv(programEnv)
	for name, provider := range providers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cloud{zone: "sender.example.", sets: make(map[string][]string), fixed: new(dns.Msg)}
			c.put("other.sender.example.", "v=spf1 -all")
			const target = "._domainkey.example.org.sender.example."
			for _, slot := range []string{"a", "b"} {
				alias, _ := dns.NewRR(slot + "._domainkey.example.org. 60 IN CNAME " + slot + target)
				c.fixed.Answer = append(c.fixed.Answer, alias)
			}
			var world []string
			if provider.host == "" {
				world = startAWS(t, provider.api(c))
			} else {
				proxy, authority := startProxy(t, provider.host, provider.api(c))
				world = []string{"HTTPS_PROXY=" + proxy, "SSL_CERT_FILE=" + authority}
			}
			keys, resolver := filepath.Join(t.TempDir(), "keys"), c.resolver(t)
			how := provider.how
			if strings.Contains(how, "%s") {
				how = fmt.Sprintf(how, write(t, t.TempDir(), "token", apiToken+"\n"))
			}
			rotate := func(code int, args ...string) string {
				t.Helper()
				args = append([]string{"rotate", "--auto", "--all", "--slots", "a,b", "--slot-zone", "sender.example",
					"--keys", keys, "--resolver", resolver, "--publish", how}, args...)
				command := exec.Command(signpost, args...)
				command.Env = world
				out, err := command.CombinedOutput()
				if command.ProcessState == nil || command.ProcessState.ExitCode() != code {
					t.Fatalf("%v: %s", err, out)
				}
				return string(out)
			}
			has := func(want ...string) {
				t.Helper()
				compare(t, c.names(), append([]string{"other.sender.example."}, want...))
			}
			// The time of a rotation, and of its keys, is so long ago that the next step is due.
			old := time.Now().Add(-200 * 24 * time.Hour)
			age := func(selector string) {
				t.Helper()
				if err := os.Chtimes(filepath.Join(keys, "example.org", selector+".private"), old, old); err != nil {
					t.Fatal(err)
				}
			}

			// The key that the domain has is at a name of its own.
			run(t, signpost, "keygen", "--mkdir", "--keys", keys, "--selector", "s1", "example.org")
			record, err := os.ReadFile(filepath.Join(keys, "example.org", "s1.txt"))
			if err != nil {
				t.Fatal(err)
			}
			rr, err := dns.NewRR("$ORIGIN example.org.\n" + string(record))
			if err != nil {
				t.Fatal(err)
			}
			c.put("s1._domainkey.example.org.", strings.Join(rr.(*dns.TXT).Txt, ""))
			age("s1")

			if out := rotate(1, "--publish", how+",zone=ender.example"); !strings.Contains(out, "a"+strings.TrimSuffix(target, ".")+" is not in the zone ender.example, so it is not changed") {
				t.Errorf("with the wrong zone it says %s", out)
			}
			has("s1._domainkey.example.org.")
			c.fail(true)
			if out := rotate(1); !strings.Contains(out, "changing a"+strings.TrimSuffix(target, ".")+" in the zone sender.example "+provider.says) {
				t.Errorf("with a provider that fails it says %s", out)
			}
			has("s1._domainkey.example.org.")
			c.fail(false)
			if out := rotate(0); !strings.Contains(out, "published: a"+strings.TrimSuffix(target, ".")) {
				t.Errorf("it says %s", out)
			}
			has("a"+target, "s1._domainkey.example.org.")
			rotate(0) // sees that it is
			stoppedAt(t, keys, old)
			// The record of the old key is not in that zone, and so is for a person to take out.
			if out := rotate(0); !strings.Contains(out, "the key s1 is archived") || !strings.Contains(out, "take its TXT record out of the DNS:\ns1._domainkey.example.org\n") {
				t.Errorf("it says %s", out)
			}
			c.put("s1._domainkey.example.org.")

			for _, turn := range [][2]string{{"a", "b"}, {"b", "a"}, {"a", "b"}} {
				age(turn[0])
				if out := rotate(0); !strings.Contains(out, "published: "+turn[1]+strings.TrimSuffix(target, ".")) {
					t.Errorf("it says %s", out)
				}
				has("a"+target, "b"+target)
				if _, err := os.Stat(filepath.Join(keys, "example.org", ".rotation")); err != nil {
					t.Errorf("begun, and forgotten: %v", err)
				}
				rotate(0)
				stoppedAt(t, keys, old)
				c.fail(true)
				rotate(1)
				has("a"+target, "b"+target)
				c.fail(false)
				if out := rotate(0); !strings.Contains(out, "the key "+turn[0]+" is archived") || !strings.Contains(out, "and its record is out of the DNS: "+turn[0]+strings.TrimSuffix(target, ".")) {
					t.Errorf("it says %s", out)
				}
				has(turn[1] + target)
			}
			// What revokes a key is put there also when somebody has taken its record out, and
			// never beside what somebody else has put there.
			age("b")
			rotate(0)
			rotate(0)
			revoke := []string{"--auto=false", "--finish", "--now", "--revoke"}
			c.put("b"+target, "v=spf1 -all")
			if out := rotate(1, revoke...); !strings.Contains(out, `a TXT record that is not the key's is there: "v=spf1 -all"`) {
				t.Errorf("beside another record it says %s", out)
			}
			c.put("b" + target)
			rotate(0, revoke...)
			if got := c.at("b" + target); got != `"v=DKIM1; k=rsa; p="` {
				t.Errorf("the revoking record is %s", got)
			}
			if archived, _ := filepath.Glob(filepath.Join(keys, ".retired", "example.org", "*.private")); len(archived) != 5 {
				t.Errorf("archived are %v", archived)
			}
		})
	}
}

// startAWS returns the variables of a world with the program aws and its end point.
func startAWS(t *testing.T, handler http.Handler) []string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	here, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(here, filepath.Join(dir, "aws")); err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=" + server.URL, "AWS_ACCESS_KEY_ID=" + apiToken}
}

// startProxy returns the address of a proxy that leads one host to handler, as
// HTTPS, and nowhere else, and a file with the certificate that it has.
func startProxy(t *testing.T, host string, handler http.Handler) (address, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = write(t, t.TempDir(), "authority.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != host+":443" {
			http.Error(w, "there is no "+r.Host+" in this world", http.StatusBadGateway)
			return
		}
		to, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		w.WriteHeader(http.StatusOK)
		from, rest, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		go func() {
			io.Copy(to, rest)
			to.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(from, to)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, file
}
