package nameserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

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

// An update changes what it says and nothing else, and only with the key.
func TestZoneTakesUpdates(t *testing.T) {
	t.Parallel()
	z := NewZone(t, "$ORIGIN example.org.\n@ SOA ns root 1 2 3 4 5\na TXT one\na TXT two\nb TXT three\nb MX 1 b")
	address := z.Serve(t)
	rr := func(text string) []dns.RR {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		return []dns.RR{rr}
	}
	send := func(zone, key string) string {
		m := new(dns.Msg).SetUpdate(zone)
		m.Remove(rr(`a.example.org. TXT "one"`))
		m.RemoveRRset(rr(`b.example.org. TXT "any"`))
		m.Insert(rr(`c.example.org. 60 TXT "four"`))
		client := dns.Client{Net: "tcp", TsigSecret: map[string]string{key: TSIGSecret}}
		if key != "" {
			m.SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
		}
		reply, _, err := client.Exchange(m, address)
		if reply == nil {
			return err.Error()
		}
		return dns.RcodeToString[reply.Rcode]
	}
	if got := send("example.org.", TSIGName+"."); got != "REFUSED" {
		t.Errorf("a zone that takes none says %s", got)
	}
	z.TakeUpdates()
	for _, test := range [][3]string{
		{"example.org.", "", "REFUSED"},
		{"example.org.", "other.", "REFUSED"},
		{"example.net.", TSIGName + ".", "NOTZONE"},
		{"example.org.", TSIGName + ".", "NOERROR"},
	} {
		if got := send(test[0], test[1]); got != test[2] {
			t.Errorf("zone %s, key %q: %s, want %s", test[0], test[1], got, test[2])
		}
	}
	for name, want := range map[string]string{
		"a.example.org.": `NOERROR TXT "two"`, "b.example.org.": "NOERROR SOA", "c.example.org.": `NOERROR TXT "four"`,
	} {
		if got := ask(t, address, name, dns.TypeTXT); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := ask(t, address, "b.example.org.", dns.TypeMX); !strings.HasPrefix(got, "NOERROR MX 1 b") {
		t.Errorf("the other type says %s", got)
	}
}
