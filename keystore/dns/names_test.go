package dns

import (
	"context"
	"maps"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"signpost/test/lab/nameserver"

	"github.com/miekg/dns"
)

// reverseServer answers from records in zone file format, and counts the questions.
func reverseServer(t *testing.T, records ...string) (server string, asked *atomic.Int32) {
	t.Helper()
	zone := make(map[string][]dns.RR)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		key := Plain(rr.Header().Name) + dns.TypeToString[rr.Header().Rrtype]
		zone[key] = append(zone[key], rr)
	}
	asked = new(atomic.Int32)
	return nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		asked.Add(1)
		question := query.Question[0]
		reply := new(dns.Msg).SetReply(query)
		reply.RecursionAvailable = true
		if question.Name == "9.2.0.192.in-addr.arpa." {
			reply.Rcode = dns.RcodeServerFailure
		}
		name := Plain(question.Name)
		for _, rr := range zone[name+"CNAME"] {
			reply.Answer, name = append(reply.Answer, rr), Plain(rr.(*dns.CNAME).Target)
		}
		reply.Answer = append(reply.Answer, zone[name+dns.TypeToString[question.Qtype]]...)
		w.WriteMsg(reply)
	}), asked
}

func TestNames(t *testing.T) {
	t.Parallel()
	const v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
	server, asked := reverseServer(t,
		"1.2.0.192.in-addr.arpa. 60 IN PTR Mail.Example.ORG.", "mail.example.org. 60 IN A 192.0.2.1",
		// A forger's address.
		"7.100.51.198.in-addr.arpa. 60 IN PTR mail.example.org.",
		v6+" 60 IN PTR mail6.example.org.", "mail6.example.org. 60 IN AAAA 2001:db8::1",
		// Several names, of which not all lead back.
		"2.2.0.192.in-addr.arpa. 60 IN PTR z.example.net.", "z.example.net. 60 IN A 192.0.2.2",
		"2.2.0.192.in-addr.arpa. 60 IN PTR b.example.net.", "b.example.net. 60 IN A 192.0.2.2",
		"2.2.0.192.in-addr.arpa. 60 IN PTR a.example.net.", "a.example.net. 60 IN A 192.0.2.99",
		// Not the name of a host, though it leads back.
		`3.2.0.192.in-addr.arpa. 60 IN PTR \027[31m.example.net.`, `\027[31m.example.net. 60 IN A 192.0.2.3`,
		// A name by a CNAME, as for the reverse zones of parts of a /24 (RFC 2317).
		"5.2.0.192.in-addr.arpa. 60 IN CNAME 5.0-25.2.0.192.in-addr.arpa.",
		"5.0-25.2.0.192.in-addr.arpa. 60 IN PTR five.example.net.", "five.example.net. 60 IN A 192.0.2.5",
	)
	addr := netip.MustParseAddr
	mapped := addr("::ffff:192.0.2.1")
	addrs := []netip.Addr{addr("192.0.2.1"), mapped, addr("198.51.100.7"), addr("2001:db8::1"),
		addr("192.0.2.2"), addr("192.0.2.3"), addr("192.0.2.4"), addr("192.0.2.9"),
		{}, addr("192.0.2.5")}
	r := resolverAt(server)
	want := map[netip.Addr]string{addrs[0]: "mail.example.org", mapped: "mail.example.org",
		addrs[3]: "mail6.example.org", addrs[4]: "b.example.net", addrs[9]: "five.example.net"}
	if got := Names(t.Context(), r, addrs, 100); !maps.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	before := asked.Load()
	if got := Names(t.Context(), r, addrs, 1); len(got) != 1 || asked.Load() != before+2 {
		t.Errorf("of one: %v with %d queries", got, asked.Load()-before)
	}
	if got := Names(t.Context(), r, addrs, 0); len(got) != 0 || asked.Load() != before+2 {
		t.Errorf("of none: %v", got)
	}
}

// Time that is over ends it, however many addresses there are.
func TestNamesInTime(t *testing.T) {
	t.Parallel()
	r := resolverAt(nameserver.Serve(t, nameserver.Silent))
	r.Patience = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	addrs := make([]netip.Addr, 200)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
	}
	done := make(chan map[netip.Addr]string)
	go func() { done <- Names(ctx, r, addrs, len(addrs)) }()
	select {
	case got := <-done:
		if len(got) != 0 {
			t.Errorf("%v", got)
		}
	case <-time.After(time.Minute):
		t.Error("it goes on")
	}
}
