package compose_test

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// becomesTrusted does what somebody does who has a compose file and a domain
// and knows nothing of DKIM: runs check, publishes what it prints, until it is
// content.
func becomesTrusted(p *project, domain string) {
	p.t.Helper()
	gateway := p.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", p.name+"_default")
	zone := startZone(p.t, gateway, domain+". MX 10 mail."+domain+".", "mail."+domain+". A 203.0.113.25",
		"25.113.0.203.in-addr.arpa. PTR mail."+domain+".")
	check := func() (output string, err error) {
		c := p.command(p.engine.docker, "exec", p.container("signpostd"), "signpost", "check", "--resolver", zone.address,
			"--from-ip", "203.0.113.25", "--helo", "mail."+domain, domain)
		out, err := c.CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			p.t.Fatal(err)
		}
		return string(out), err
	}
	output, err := check()
	if err == nil || !strings.Contains(output, "mail from "+domain+" will not pass DMARC because ") {
		p.t.Fatalf("nothing is published, and check says:\n%s", output)
	}
	published := 0
	for name, value := range toPublish(output) {
		zone.publish(name, value)
		published++
	}
	if published != 3 {
		p.t.Errorf("check names %d records, not SPF, DKIM and DMARC:\n%s", published, output)
	}
	if output, err = check(); err != nil || !strings.Contains(output, "mail from "+domain+" will pass DMARC because ") {
		p.t.Errorf("all that check named is published, and it says: %v\n%s", err, output)
	}
}

// toPublish yields the records that a report of check says to publish.
func toPublish(report string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		lines := bufio.NewScanner(strings.NewReader(report))
		for lines.Scan() {
			_, rest, found := strings.Cut(lines.Text(), "hint: publish this TXT record at ")
			name, _, _ := strings.Cut(rest, ",")
			if found && lines.Scan() && !yield(name, lines.Text()) {
				return
			}
		}
	}
}

// A zone is the whole DNS, for containers to ask.
type zone struct {
	address string

	mu      sync.Mutex
	records []dns.RR
}

func startZone(t *testing.T, ip string, records ...string) *zone {
	t.Helper()
	conn, err := net.ListenPacket("udp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{address: conn.LocalAddr().String()}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		z.records = append(z.records, rr)
	}
	ready := make(chan struct{})
	server := &dns.Server{PacketConn: conn, Handler: z, NotifyStartedFunc: func() { close(ready) }}
	go server.ActivateAndServe()
	<-ready
	t.Cleanup(func() { server.Shutdown() })
	return z
}

func (z *zone) publish(name, value string) {
	txt := &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}}
	for ; len(value) > 255; value = value[255:] {
		txt.Txt = append(txt.Txt, value[:255])
	}
	txt.Txt = append(txt.Txt, value)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = append(z.records, txt)
}

func (z *zone) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg).SetRcode(query, dns.RcodeNameError)
	answer.RecursionAvailable = true
	question := query.Question[0]
	z.mu.Lock()
	for _, rr := range z.records {
		if dns.IsSubDomain(question.Name, rr.Header().Name) {
			answer.Rcode = dns.RcodeSuccess
		}
		if rr.Header().Name == question.Name && rr.Header().Rrtype == question.Qtype {
			answer.Answer = append(answer.Answer, rr)
		}
	}
	z.mu.Unlock()
	w.WriteMsg(answer)
}
