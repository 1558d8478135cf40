package system

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"signpost/test/lab"
	"signpost/test/lab/nameserver"
)

// A host that sends from its own public address, and a zone with two name
// servers on port 53: what is not told on the command line is found out.
func TestCheckAsksEveryNameServer(t *testing.T) {
	// Not in parallel: others would see the public address that this host gets.
	w := newWorld(t)
	signpost := lab.Programs() + "/signpost"
	const public = "198.41.1.25" // only in this world
	w.addAddress(public)
	first, second := w.net+".61", w.net+".62"
	w.run(signpost, "keygen", "--keys", w.keys, "--selector", "s1", "clean.test")
	records := w.run(signpost, "dns", "--keys", w.keys, "--format", "zone", "clean.test")
	zone := fmt.Sprintf("@ SOA ns1 root 2 7200 900 1209600 60\n@ NS ns1\n@ NS ns2\nns1 A %s\nns2 A %s\n@ MX 10 mail\nmail A %s\n",
		first, second, public) + records
	older := strings.Replace(strings.ReplaceAll(zone, "s1._domainkey ", "s0._domainkey "), "root 2", "root 1", 1)
	root := fmt.Sprintf("@ SOA ns. root. 1 7200 900 1209600 60\n@ NS ns.\nns. A %s\n25.1.41.198.in-addr.arpa. PTR mail.clean.test.\n", first)
	start := func(address string, zones map[string]string) *nameserver.Process {
		server, err := nameserver.StartNSD(t.TempDir(), "53", zones, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Stop() })
		return server
	}
	start(first, map[string]string{".": root, "clean.test": zone})
	stale := start(second, map[string]string{"clean.test": older})

	// The HELO name is what this host's Postfix says.
	w.write("main.cf", "myhostname = Mail.clean.test\n")
	check := func() string {
		cmd := w.command(signpost, "check", "--keys", w.keys, "--resolver", first, "--authoritative", "clean.test")
		cmd.Env = append(os.Environ(), "MAIL_CONFIG="+w.dir)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	out := check()
	for _, want := range []string{
		"good: " + public + ": mail is taken to come from here: the public addresses of this host",
		"good: " + public + ": its PTR record says mail.clean.test, which leads back to it",
		"good: mail.clean.test: the HELO name leads to the sending addresses",
		"fault: s1._domainkey.clean.test: TXT: the name servers differ: ns1.clean.test (" + first + `) says "v=DKIM1;`,
		"ns2.clean.test (" + second + ") says that there is none",
		"ns1.clean.test (" + first + ") has serial 2, ns2.clean.test (" + second + ") has serial 1",
		"mail from clean.test will not always pass DMARC because the name servers give different answers",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("check does not say %q", want)
		}
	}
	stale.Stop()
	start(second, map[string]string{"clean.test": zone})
	repaired := check()
	if strings.Contains(repaired, "fault:") || !strings.Contains(repaired, "mail from clean.test will pass DMARC because ") {
		t.Errorf("the servers agree now, and check says\n%s", repaired)
	}
	if t.Failed() {
		t.Log(out)
	}
}
