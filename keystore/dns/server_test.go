package dns

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// serve starts a name server of our own on a free loopback port, UDP and TCP,
// until the test ends, and returns its address.
func serve(t testing.TB, handler dns.HandlerFunc) string {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", handler, true)
}

func serveAt(t testing.TB, address string, handler dns.HandlerFunc, tcp bool) string {
	t.Helper()
	var lastErr error
	for range 20 { // the port that UDP got may be taken for TCP
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		servers := []*dns.Server{{PacketConn: udp, Handler: handler}}
		if tcp {
			listener, err := net.Listen("tcp", udp.LocalAddr().String())
			if err != nil {
				udp.Close()
				lastErr = err
				continue
			}
			servers = append(servers, &dns.Server{Listener: listener, Handler: handler})
		}
		for _, server := range servers {
			started, done := make(chan struct{}), make(chan struct{})
			server.NotifyStartedFunc = func() { close(started) }
			go func() { defer close(done); server.ActivateAndServe() }()
			<-started
			t.Cleanup(func() { server.Shutdown(); <-done })
		}
		return udp.LocalAddr().String()
	}
	t.Fatal(lastErr)
	return ""
}

// isTCP reports whether a question came by TCP.
func isTCP(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "tcp" }

// answering returns a handler that answers every question with these records,
// in zone file format, as a resolver would.
func answering(t testing.TB, records ...string) dns.HandlerFunc {
	t.Helper()
	var rrs []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		reply.RecursionAvailable = true
		reply.Answer = rrs
		w.WriteMsg(reply)
	}
}

func code(rcode int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, query *dns.Msg) {
		w.WriteMsg(new(dns.Msg).SetRcode(query, rcode))
	}
}

func silent(dns.ResponseWriter, *dns.Msg) {}

func txt(name string, bytes int) string {
	var b strings.Builder
	b.WriteString(name + ". 60 IN TXT")
	for ; bytes > 0; bytes -= 250 {
		b.WriteString(` "` + strings.Repeat("a", min(bytes, 250)) + `"`)
	}
	return b.String()
}
