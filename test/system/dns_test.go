package system

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A nameServer is the DNS of one world. It answers for every name there is:
// what was not published does not exist (NXDOMAIN).
type nameServer struct {
	addr string // IP address; port 53

	mu      sync.Mutex
	records []dns.RR // never changed in place
	queries int      // for TXT
	fault   fault
	old     []dns.RR // what it answers with the fault outdated
}

// A fault is a way in which a name server fails to answer.
type fault string

const (
	working   fault = ""
	silent    fault = "silent"
	servfail  fault = "SERVFAIL"
	refusing  fault = "REFUSED"
	lying     fault = "NXDOMAIN"  // nothing exists, it says
	truncated fault = "truncated" // every answer by UDP, and by TCP none
	garbled   fault = "garbled"
	outdated  fault = "outdated" // it answers with what it had when that began
)

// fail makes the name server fail from now on.
func (ns *nameServer) fail(f fault) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.fault, ns.old = f, ns.records
}

// asked returns how many queries for TXT there were.
func (ns *nameServer) asked() int {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ns.queries
}

// view is what the name server has to say now.
func (ns *nameServer) view() []dns.RR {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ns.records
}

// withdraw takes the records of a name away.
func (ns *nameServer) withdraw(name string) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.records = slices.DeleteFunc(slices.Clone(ns.records), func(rr dns.RR) bool {
		return strings.EqualFold(rr.Header().Name, dns.Fqdn(name))
	})
}

// startDNS serves on port 53 of ip, UDP and TCP, until the test ends. It
// returns nil when the address is taken.
func startDNS(t testing.TB, ip string) *nameServer {
	udp, err := net.ListenPacket("udp", ip+":53")
	if err != nil {
		return nil
	}
	tcp, err := net.Listen("tcp", ip+":53")
	if err != nil {
		udp.Close()
		return nil
	}
	ns := &nameServer{addr: ip}
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: ns}, {Listener: tcp, Handler: ns}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		done := make(chan struct{})
		go func() { defer close(done); server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { server.Shutdown(); <-done })
	}
	return ns
}

// publish adds records in zone file format; names are absolute, or relative
// to origin. A name's records of the same type are replaced.
func (ns *nameServer) publish(t testing.TB, origin, zone string) {
	t.Helper()
	parser := dns.NewZoneParser(strings.NewReader(zone), dns.Fqdn(origin), "")
	parser.SetDefaultTTL(60)
	var added []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		added = append(added, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("publishing %q: %v", zone, err)
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	var kept []dns.RR
	for _, old := range ns.records {
		replaced := false
		for _, rr := range added {
			replaced = replaced || sameSet(old, rr)
		}
		if !replaced {
			kept = append(kept, old)
		}
	}
	ns.records = append(kept, added...)
}

func sameSet(a, b dns.RR) bool {
	return strings.EqualFold(a.Header().Name, b.Header().Name) && a.Header().Rrtype == b.Header().Rrtype
}

func (ns *nameServer) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg).SetReply(query)
	reply.Authoritative, reply.RecursionAvailable = true, true
	question := query.Question[0]
	exists := false
	ns.mu.Lock()
	fault, records := ns.fault, ns.records
	if question.Qtype == dns.TypeTXT {
		ns.queries++
	}
	if fault == outdated {
		records = ns.old
	}
	ns.mu.Unlock()
	udp := w.LocalAddr().Network() == "udp"
	switch fault {
	case silent:
		return
	case servfail, refusing, lying:
		w.WriteMsg(reply.SetRcode(query, dns.StringToRcode[string(fault)]))
		return
	case truncated:
		if reply.Truncated = true; udp {
			w.WriteMsg(reply)
		}
		return
	case garbled:
		w.Write([]byte("\x00\x01garbled"))
		return
	}
	for _, rr := range records {
		exists = exists || dns.IsSubDomain(question.Name, rr.Header().Name)
		if strings.EqualFold(rr.Header().Name, question.Name) && rr.Header().Rrtype == question.Qtype {
			reply.Answer = append(reply.Answer, dns.Copy(rr))
		}
	}
	if !exists {
		reply.Rcode = dns.RcodeNameError
	}
	if udp {
		size := dns.MinMsgSize
		if edns := query.IsEdns0(); edns != nil {
			size = max(size, int(edns.UDPSize()))
		}
		reply.Truncate(size)
	}
	w.WriteMsg(reply)
}

// lookupTXT asks this DNS as a program in the world would.
func (ns *nameServer) lookupTXT(name string) ([]string, error) {
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, ns.addr+":53")
		},
	}
	return resolver.LookupTXT(context.Background(), dns.Fqdn(name))
}
