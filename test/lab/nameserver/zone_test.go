package nameserver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// ask asks by UDP and returns the response code and the answers.
func ask(t *testing.T, address, name string, qtype uint16) string {
	t.Helper()
	reply, err := dns.Exchange(new(dns.Msg).SetQuestion(name, qtype), address)
	if err != nil {
		return err.Error()
	}
	said := dns.RcodeToString[reply.Rcode]
	if reply.Truncated {
		said += " TC"
	}
	for _, rr := range append(reply.Answer, reply.Ns...) {
		said += " " + strings.Join(strings.Fields(rr.String())[3:], " ")
	}
	return said
}

func TestZone(t *testing.T) {
	t.Parallel()
	z := NewZone(t, "$ORIGIN example.org.\n@ SOA ns root 1 2 3 4 5\na.b TXT old\nA.B TXT one\nc CNAME d\nd CNAME a.b\nring CNAME ring\nnowhere CNAME gone.test.")
	z.Publish(t, "example.org", "a.b TXT two")
	z.PublishTXT("long.example.org", strings.Repeat("x", 600))
	address := z.Serve(t)
	for question, want := range map[string]string{
		"a.B.example.org.":     `NOERROR TXT "two"`,
		"c.example.org.":       `NOERROR CNAME d.example.org. CNAME a.b.example.org. TXT "two"`,
		"b.example.org.":       "NOERROR SOA ns.example.org. root.example.org. 1 2 3 4 5",
		"none.example.org.":    "NXDOMAIN SOA ns.example.org. root.example.org. 1 2 3 4 5",
		"nowhere.example.org.": "NXDOMAIN CNAME gone.test.",
		"none.test.":           "NXDOMAIN",
		"long.example.org.":    "NOERROR TC",
	} {
		if got := ask(t, address, question, dns.TypeTXT); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", question, got, want)
		}
	}
	long, _, err := (&dns.Client{Net: "tcp"}).Exchange(new(dns.Msg).SetQuestion("long.example.org.", dns.TypeTXT), address)
	if err != nil || len(long.Answer) != 1 || len(strings.Join(long.Answer[0].(*dns.TXT).Txt, "")) != 600 {
		t.Errorf("by TCP: %v, %v", long, err)
	}
	if n := fmt.Sprint(z.Asked(dns.TypeTXT, "A.b.example.org"), z.Asked(dns.TypeTXT), z.Asked(dns.TypeA)); n != "1 8 0" {
		t.Errorf("asked %s times", n)
	}
	z.Withdraw("a.b.example.org")
	if got := ask(t, address, "a.b.example.org.", dns.TypeTXT); !strings.HasPrefix(got, "NXDOMAIN") {
		t.Errorf("withdrawn, and it says %s", got)
	}
}

func TestZoneFails(t *testing.T) {
	t.Parallel()
	z := NewZone(t, "a. TXT old\nb. TXT b")
	address := z.Serve(t)
	z.Fail(Code(dns.RcodeRefused), "a")
	if a, b := ask(t, address, "A.", dns.TypeTXT), ask(t, address, "b.", dns.TypeTXT); a != "REFUSED" || b != `NOERROR TXT "b"` {
		t.Errorf("a alone fails: %s, %s", a, b)
	}
	z.Fail(nil, "a")
	z.Fail(z.Outdated())
	z.Publish(t, ".", "a. TXT new")
	if got := ask(t, address, "a.", dns.TypeTXT); got != `NOERROR TXT "old"` {
		t.Errorf("outdated, and it says %s", got)
	}
	z.Fail(nil)
	if got := ask(t, address, "a.", dns.TypeTXT); got != `NOERROR TXT "new"` {
		t.Errorf("repaired, and it says %s", got)
	}
}
