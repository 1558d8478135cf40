package dns

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signpost/test/lab/nameserver"

	"github.com/miekg/dns"
)

// resolverAt asks servers with little patience, once each.
func resolverAt(servers ...string) *Resolver {
	return &Resolver{Servers: servers, Patience: 300 * time.Millisecond, Attempts: 1}
}

func TestEachFailureIsToldApart(t *testing.T) {
	udpOnly, err := nameserver.StartUDP(nameserver.Anywhere, dns.HandlerFunc(nameserver.Truncated))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(udpOnly.Stop)
	nobody, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	raw := func(change func([]byte) []byte) dns.HandlerFunc {
		return func(w dns.ResponseWriter, query *dns.Msg) {
			packed, _ := new(dns.Msg).SetReply(query).Pack()
			w.Write(change(packed))
		}
	}
	tests := []struct {
		name   string
		server string
		kind   Kind
		says   string
	}{
		{"silence", nameserver.Serve(t, nameserver.Silent), Timeout, "did not answer in time"},
		{"servfail", nameserver.Serve(t, nameserver.Code(dns.RcodeServerFailure)), ServFail, "SERVFAIL"},
		{"not implemented", nameserver.Serve(t, nameserver.Code(dns.RcodeNotImplemented)), ServFail, "NOTIMP"},
		{"refused", nameserver.Serve(t, nameserver.Code(dns.RcodeRefused)), Refused, "refused to answer: REFUSED"},
		{"nothing listens", nobody.LocalAddr().String(), Unreachable, "cannot be reached: connection refused"},
		{"tcp refused", udpOnly.Addr, Truncated, "TCP failed: connection refused"},
		{"tcp hangs up", nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
			if isTCP(w) {
				w.Close()
				return
			}
			nameserver.Truncated(w, query)
		}), Truncated, "TCP failed: EOF"},
		{"tcp silent", nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
			if !isTCP(w) {
				nameserver.Truncated(w, query)
			}
		}), Truncated, "too large for UDP"},
		{"tcp cut too", nameserver.Serve(t, nameserver.Truncated), Truncated, "cut off there too"},
		{"garbage", nameserver.Serve(t, raw(func(b []byte) []byte { return append(b[:5:5], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) })), Malformed, "broken answer"},
		{"half a header", nameserver.Serve(t, raw(func(b []byte) []byte { return b[:6] })), Malformed, "broken answer"},
		{"a query comes back", nameserver.Serve(t, raw(func(b []byte) []byte { b[2] &^= 0x80; return b })), Malformed, "another question"},
		{"another question", nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
			query.Question[0].Name = "example.net."
			answering(t)(w, query)
		}), Malformed, "another question"},
		{"referral", nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
			reply := new(dns.Msg).SetReply(query)
			rr, _ := dns.NewRR("example.org. 60 IN NS ns.example.net.")
			reply.Ns = []dns.RR{rr}
			w.WriteMsg(reply)
		}), Lame, "does not serve this name"},
		{"alias of itself", nameserver.Serve(t, answering(t, "example.org. 60 IN CNAME a.example.", "a.example. 60 IN CNAME example.org.")), Loop, "in a circle"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer, err := resolverAt(test.server).Lookup(t.Context(), "example.org", dns.TypeTXT)
			var failed *LookupError
			if !errors.As(err, &failed) {
				t.Fatalf("got %+v, %v", answer, err)
			}
			if failed.Kind != test.kind || failed.Name != "example.org" || failed.Type != "TXT" {
				t.Errorf("got %+v, want kind %s", failed, test.kind)
			}
			if test.kind != Loop && failed.Server != test.server {
				t.Errorf("blames %q, asked %q", failed.Server, test.server)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("says %q, want %q in it", err, test.says)
			}
		})
	}
}

func TestUnreachableNetwork(t *testing.T) {
	// A link-local address without its zone leads nowhere on any machine.
	_, err := resolverAt("[fe80::1]:53").Lookup(t.Context(), "example.org", dns.TypeTXT)
	var failed *LookupError
	if !errors.As(err, &failed) || failed.Kind != Unreachable {
		t.Errorf("got %v", err)
	}
}

func TestMissingIsAnAnswer(t *testing.T) {
	soa, _ := dns.NewRR("example.org. 600 IN SOA ns.example.org. root.example.org. 1 2 3 4 30")
	for _, rcode := range []int{dns.RcodeNameError, dns.RcodeSuccess} {
		server := nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
			reply := new(dns.Msg).SetRcode(query, rcode)
			reply.RecursionAvailable = true
			reply.Ns = []dns.RR{soa}
			w.WriteMsg(reply)
		})
		answer, err := resolverAt(server).Lookup(t.Context(), "none.example.org.", dns.TypeTXT)
		if err != nil {
			t.Fatal(err)
		}
		if answer.NXDomain != (rcode == dns.RcodeNameError) || len(answer.Records) != 0 || answer.TTL != 30*time.Second || answer.Name != "none.example.org" {
			t.Errorf("got %+v", answer)
		}
	}
}

func TestLargeAnswerComesByTCP(t *testing.T) {
	for _, size := range []int{100, 1100, 3000, 60000} {
		rr, err := dns.NewRR(txt("example.org", size))
		if err != nil {
			t.Fatal(err)
		}
		server := nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
			reply := new(dns.Msg).SetReply(query)
			reply.Authoritative = true
			reply.Answer = []dns.RR{rr}
			if !isTCP(w) {
				if size := query.IsEdns0().UDPSize(); size != 1232 {
					t.Errorf("offers %d bytes", size)
				}
				reply.Truncate(1232)
			}
			w.WriteMsg(reply)
		})
		texts, err := resolverAt(server).TXT(t.Context(), "example.org")
		if err != nil || len(texts) != 1 || len(texts[0].Text()) != size {
			t.Errorf("%d bytes: got %d records, %v", size, len(texts), err)
		}
	}
}

func TestServersAreTriedInTurn(t *testing.T) {
	good := nameserver.Serve(t, answering(t, `example.org. 60 IN TXT "hello"`))
	bad := []string{nameserver.Serve(t, nameserver.Silent), nameserver.Serve(t, nameserver.Code(dns.RcodeServerFailure)), nameserver.Serve(t, nameserver.Code(dns.RcodeRefused))}
	answer, err := resolverAt(append(bad, good)...).Lookup(t.Context(), "example.org", dns.TypeTXT)
	if err != nil || answer.Server != good || answer.TXT()[0].Text() != "hello" {
		t.Errorf("got %+v, %v", answer, err)
	}
	// What a server said says more than silence.
	_, err = resolverAt(bad[:2]...).Lookup(t.Context(), "example.org", dns.TypeTXT)
	var failed *LookupError
	if !errors.As(err, &failed) || failed.Kind != ServFail {
		t.Errorf("got %v", err)
	}
}

func TestAgainAfterALostPacket(t *testing.T) {
	var asked atomic.Int32
	good := answering(t, `example.org. 60 IN TXT "hello"`)
	r := resolverAt(nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		if asked.Add(1) > 1 {
			good(w, query)
		}
	}))
	r.Attempts = 2
	if _, err := r.TXT(t.Context(), "example.org"); err != nil {
		t.Error(err)
	}
}

func TestOldServerWithoutEDNS(t *testing.T) {
	good := answering(t, `example.org. 60 IN TXT "hello"`)
	r := resolverAt(nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		if query.IsEdns0() != nil {
			w.WriteMsg(new(dns.Msg).SetRcodeFormatError(query))
			return
		}
		good(w, query)
	}))
	if texts, err := r.TXT(t.Context(), "example.org"); err != nil || len(texts) != 1 {
		t.Errorf("got %q, %v", texts, err)
	}
}

func TestExtendedErrorIsTold(t *testing.T) {
	r := resolverAt(nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetRcode(query, dns.RcodeServerFailure)
		reply.SetEdns0(1232, false)
		reply.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus, ExtraText: "no signature"}}
		w.WriteMsg(reply)
	}))
	_, err := r.TXT(t.Context(), "example.org")
	if err == nil || !strings.Contains(err.Error(), `SERVFAIL, DNSSEC Bogus ("no signature")`) {
		t.Errorf("got %v", err)
	}
}

func TestAliasesAreFollowed(t *testing.T) {
	// A resolver gives the whole chain, a name server what it holds of it.
	resolver := nameserver.Serve(t, answering(t, "a.example.org. 60 IN CNAME b.example.org.", "b.example.org. 20 IN CNAME c.example.net.", `c.example.net. 40 IN TXT "end"`))
	nameServer := nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		reply.Authoritative = true
		for _, text := range []string{"a.example.org. 60 IN CNAME b.example.org.", "b.example.org. 20 IN CNAME c.example.net.", `c.example.net. 40 IN TXT "end"`} {
			if rr, _ := dns.NewRR(text); rr.Header().Name == query.Question[0].Name {
				reply.Answer = []dns.RR{rr}
			}
		}
		w.WriteMsg(reply)
	})
	for _, server := range []string{resolver, nameServer} {
		answer, err := resolverAt(server).Lookup(t.Context(), "A.example.org", dns.TypeTXT)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(answer.CNAMEs, []string{"b.example.org", "c.example.net"}) || answer.Owner() != "c.example.net" ||
			len(answer.Records) != 1 || answer.TTL != 20*time.Second {
			t.Errorf("got %+v", answer)
		}
	}
}

func TestAliasToNowhere(t *testing.T) {
	soa, _ := dns.NewRR("example.net. 600 IN SOA ns.example.net. root.example.net. 1 2 3 4 30")
	alias, _ := dns.NewRR("a.example.org. 60 IN CNAME b.example.net.")
	answer, err := resolverAt(nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetRcode(query, dns.RcodeNameError)
		reply.Answer, reply.Ns = []dns.RR{alias}, []dns.RR{soa}
		w.WriteMsg(reply)
	})).Lookup(t.Context(), "a.example.org", dns.TypeTXT)
	if err != nil || !answer.NXDomain || answer.Owner() != "b.example.net" {
		t.Errorf("got %+v, %v", answer, err)
	}
}

func TestEveryByteOfAString(t *testing.T) {
	var all strings.Builder
	for i := range 256 {
		all.WriteByte(byte(i))
	}
	want := all.String()
	server := nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		// By hand: two strings of 128 bytes.
		packed, _ := new(dns.Msg).SetReply(&dns.Msg{MsgHdr: query.MsgHdr, Question: query.Question}).Pack()
		packed[7] = 1 // one answer
		packed = append(packed, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 1, 2, 128)
		packed = append(append(append(packed, want[:128]...), 128), want[128:]...)
		w.Write(packed)
	})
	texts, err := resolverAt(server).TXT(t.Context(), "example.org")
	if err != nil || len(texts) != 1 || len(texts[0]) != 2 || texts[0].Text() != want {
		t.Errorf("got %q, %v", texts, err)
	}
}

func TestNamesThatTheDNSCannotHold(t *testing.T) {
	for _, name := range []string{"", "a..example.org", strings.Repeat("a", 64) + ".example.org", strings.Repeat("abcdefg.", 33) + "example.org"} {
		_, err := resolverAt("127.0.0.1:1").Lookup(t.Context(), name, dns.TypeTXT)
		var failed *LookupError
		if !errors.As(err, &failed) || failed.Kind != BadName {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestDeadlineOfTheCaller(t *testing.T) {
	r := &Resolver{Servers: []string{nameserver.Serve(t, nameserver.Silent)}, Patience: time.Hour, Attempts: 9}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.TXT(ctx, "example.org")
	var failed *LookupError
	if !errors.As(err, &failed) || failed.Kind != Timeout {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := r.TXT(ctx, "example.org"); err == nil {
		t.Error("no error")
	}
}

func TestRemembering(t *testing.T) {
	var asked atomic.Int32
	good := answering(t, `example.org. 60 IN TXT "hello"`, "example.org. 60 IN SOA ns. root. 1 2 3 4 5",
		"mail.example.org. 60 IN A 192.0.2.1")
	server := nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		asked.Add(1)
		good(w, query)
	})
	r := resolverAt(server).Remembering()
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if _, err := r.TXT(t.Context(), "EXAMPLE.org."); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// So is what many domains of a zone ask about its signatures.
	for range 2 {
		if _, err := r.Chain(t.Context(), "mail.example.org"); err != nil {
			t.Error(err)
		}
		if _, err := r.Security(t.Context(), "example.org", dns.TypeSOA); err != nil {
			t.Error(err)
		}
	}
	if n := asked.Load(); n != 1+4+1 { // SOA of two names, DS and DNSKEY; SOA with its security
		t.Errorf("asked %d times", n)
	}
}

func TestAt(t *testing.T) {
	for server, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1:53",
		"192.0.2.1:5353":     "192.0.2.1:5353",
		"2001:db8::1":        "[2001:db8::1]:53",
		"[2001:db8::1]":      "[2001:db8::1]:53",
		"[2001:db8::1]:5353": "[2001:db8::1]:5353",
		"fe80::1%eth0":       "[fe80::1%eth0]:53",
		"resolver":           "resolver:53",
		"dns.example.org:54": "dns.example.org:54",
	} {
		r, err := At(server)
		if err != nil || r.Servers[0] != want {
			t.Errorf("%q: got %+v, %v; want %s", server, r, err, want)
		}
	}
	for _, server := range []string{"", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:domain", "[2001:db8::1", "a b", "https://dns.example/", ":53"} {
		if r, err := At(server); err == nil {
			t.Errorf("%q: got %+v", server, r)
		}
	}
}

func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	os.WriteFile(path, []byte("# made by hand\nsearch example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions timeout:3 attempts:4 ndots:2\n"), 0o600)
	r, err := fromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Servers, []string{"192.0.2.1:53", "[2001:db8::1]:53"}) || r.Patience != 3*time.Second || r.Attempts != 4 {
		t.Errorf("got %+v", r)
	}
	// As resolvers do, it leaves out what would make it wait for minutes.
	if err := os.WriteFile(path, []byte("options attempts:1000 rotate\nnameserver fe80::1%lo\n"+strings.Repeat("nameserver 192.0.2.1\n", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err = fromFile(path); err != nil || len(r.Servers) != 3 || r.Servers[0] != "[fe80::1%lo]:53" || r.Attempts != 5 {
		t.Errorf("got %+v, %v", r, err)
	}
	r, err = fromFile(path + ".missing")
	if err != nil || !slices.Equal(r.Servers, []string{"127.0.0.1:53"}) {
		t.Errorf("got %+v, %v", r, err)
	}
}
