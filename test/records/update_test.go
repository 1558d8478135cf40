package records

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"signpost/test/lab/nameserver"

	"github.com/miekg/dns"
)

// Both clients against both servers. What was published for mail before is
// replaced, and what others have at the same name stays.
func TestUpdateTakesEffect(t *testing.T) {
	t.Parallel()
	for server, primary := range nameserver.Primaries() {
		for _, client := range []string{"nsupdate", "knsupdate"} {
			for _, w := range where[:2] {
				t.Run(server+"/"+client+"/"+w.domain, func(t *testing.T) {
					t.Parallel()
					before := fmt.Sprintf("$TTL 3600\n$ORIGIN %s.\n"+`@ IN TXT "site-verification=abc"
_dmarc IN TXT "v=DMARC1; p=none"
_dmarc IN TXT "v=DMARC1; p=none; pct=50"
s2048._domainkey IN TXT "v=DKIM1; p=b2xk"
other._domainkey IN TXT "v=DKIM1; p=b3RoZXI="
@ IN MX 10 mx.example.net.
`, w.domain)
					port := serve(t, primary, w.zone, head+before, nameserver.FromHere)
					records := published(t, w.domain)
					update := fmt.Sprintf("server 127.0.0.1 %s\n", port) + rendered(t, "nsupdate", w.zone, records)
					want := append(lines(records),
						w.domain+". TXT 3600 site-verification=abc",
						"other._domainkey."+w.domain+". TXT 3600 v=DKIM1; p=b3RoZXI=")
					for range 2 { // a second time changes nothing
						send(t, client, update)
						compare(t, transfer(t, w.zone, port), want)
					}
				})
			}
		}
	}
}

func send(t *testing.T, client, update string) {
	t.Helper()
	command := exec.Command(client)
	command.Stdin = strings.NewReader(update)
	if out, err := command.CombinedOutput(); err != nil || strings.Contains(string(out), "fail") {
		t.Fatalf("%s: %v: %s", client, err, out)
	}
}

func transfer(t *testing.T, zone, port string) []string {
	t.Helper()
	query := new(dns.Msg)
	query.SetAxfr(dns.Fqdn(zone))
	answers, err := new(dns.Transfer).In(query, "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	var rrs []dns.RR
	for a := range answers {
		if a.Error != nil {
			t.Fatal(a.Error)
		}
		rrs = append(rrs, a.RR...)
	}
	return linesOf(t, rrs)
}
