package nameserver

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestNSDAnswers(t *testing.T) {
	t.Parallel()
	zones := map[string]string{"example.org": "@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n@ TXT \"hello\"\n"}
	server, err := StartNSD(t.TempDir(), "", zones, "127.0.0.1", "127.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	for _, address := range []string{"127.0.0.1", "127.0.0.7"} {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion("example.org.", dns.TypeTXT), net.JoinHostPort(address, server.Port))
		if err != nil || len(reply.Answer) != 1 {
			t.Errorf("%s: got %v, %v", address, reply, err)
		}
	}
}

func TestNSDRefusesBrokenZone(t *testing.T) {
	t.Parallel()
	zones := map[string]string{"example.org": "@ SOA ns root 1 2 3 4 5\n@ NS ns\n@ TXT \"hello\n"}
	server, err := StartNSD(t.TempDir(), "", zones, "127.0.0.1")
	if err == nil {
		server.Stop()
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), "zone1") {
		t.Errorf("got %v", err)
	}
}
