package system

import (
	"bytes"
	"testing"
)

// A foreign client is relayed, say for a forward, but not signed; a login
// makes up for it. Postfix is told who the client is by XCLIENT.
func TestForeignClientIsNotSigned(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon("ALLOWED_SENDER_DOMAINS=example.org")
	p := w.startPostfix(w.milterAddr(),
		"inet_protocols = all",
		"smtpd_authorized_xclient_hosts = 127.0.0.0/8",
		"smtpd_relay_restrictions = check_client_access static:ok, reject")
	for _, c := range []struct{ id, attributes string }{
		{"foreign", "NAME=out.example.net ADDR=203.0.113.9 LOGIN=[UNAVAILABLE]"},
		{"foreign-6", "NAME=out.example.net ADDR=IPV6:2001:db8::9 LOGIN=[UNAVAILABLE]"},
		{"login", "NAME=out.example.net ADDR=203.0.113.9 LOGIN=user"},
		{"private", "NAME=in.example.net ADDR=10.1.2.3 LOGIN=[UNAVAILABLE]"},
	} {
		conn, err := p.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.command(220, "XCLIENT %s", c.attributes); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.command(250, "EHLO client.test"); err != nil {
			t.Fatal(err)
		}
		queueID, err := conn.send("a@example.org", []string{"reader@rcpt.test"}, letter("a@example.org", c.id))
		if err != nil {
			t.Fatalf("%s: %v", c.id, err)
		}
		message := w.awaitDelivery(c.id)
		if c.id == "login" || c.id == "private" {
			w.mustVerify(message, want)
			continue
		}
		w.mustBeUnsigned(message)
		if len(d.logged(queueID, "reason=untrusted-client")) != 1 {
			t.Errorf("%s: log does not say why it is not signed", c.id)
		}
	}
}

// With --trusted-networks the caller says who is trusted, and loopback may not
// be; sendmail(1) on the host still is.
func TestTrustedNetworksAreASetting(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	w.startDaemon("--trusted-networks=192.0.2.0/24")
	p := w.startPostfix(w.milterAddr())
	p.mustSubmit("a@example.org", "reader@rcpt.test", letter("a@example.org", "loopback"))
	w.mustBeUnsigned(w.awaitDelivery("loopback"))

	sendmail := w.command("sendmail", "-C", p.Etc, "-i", "-f", "a@example.org", "reader@rcpt.test")
	sendmail.Stdin = bytes.NewReader(letter("a@example.org", "local"))
	if out, err := sendmail.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
	w.mustVerify(w.awaitDelivery("local"), want)
}
