package dns

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

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

func txt(name string, bytes int) string {
	var b strings.Builder
	b.WriteString(name + ". 60 IN TXT")
	for ; bytes > 0; bytes -= 250 {
		b.WriteString(` "` + strings.Repeat("a", min(bytes, 250)) + `"`)
	}
	return b.String()
}
