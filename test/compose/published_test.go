package compose_test

import (
	"bufio"
	"os/exec"
	"strings"

	"signpost/test/lab/nameserver"
)

// becomesTrusted does what somebody does who has a compose file and a domain
// and knows nothing of DKIM: runs check, publishes what it prints, until it is
// content.
func becomesTrusted(p *project, domain string) {
	p.t.Helper()
	gateway := p.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", p.name+"_default")
	zone := nameserver.NewZone(p.t, "$ORIGIN "+domain+".\n@ MX 10 mail\nmail A 203.0.113.25\n25.113.0.203.in-addr.arpa. PTR mail\n")
	server, err := nameserver.Start(gateway+":0", zone)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(server.Stop)
	check := func() (output string, err error) {
		c := p.command(p.engine.docker, "exec", p.container("signpostd"), "signpost", "check", "--resolver", server.Addr,
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
		zone.PublishTXT(name, value)
		published++
	}
	if published != 4 {
		p.t.Errorf("check names %d records, not DKIM, DMARC, and SPF of the domain and of the HELO name:\n%s", published, output)
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
