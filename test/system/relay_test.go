package system

import (
	"fmt"
	"net"
	"os"
	"testing"

	"signpost/keystore/finding"
	mtaconfig "signpost/postfix"
	"signpost/postfix/lint"
)

// TestOpenRelay asks Postfix whether it takes mail for anywhere from an outsider,
// and `signpost postfix check` must say the same of each set of lists.
func TestOpenRelay(t *testing.T) {
	t.Parallel()
	const (
		refused = "refused"
		open    = "postfix-open-relay"
		forged  = "postfix-relay-by-map"
		stops   = "postfix-relay-unguarded"
	)
	relay, rcpt, client, helo, sender := "smtpd_relay_restrictions", "smtpd_recipient_restrictions", "smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions"
	known := "check_sender_access inline:{known@example.org=OK}"
	tests := []struct {
		lists [][2]string
		want  string
	}{
		{nil, refused}, // the defaults
		{[][2]string{{relay, "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination"}}, refused},
		{[][2]string{{relay, "permit_mynetworks permit_sasl_authenticated defer_unauth_destination"}}, refused},
		{[][2]string{{relay, "permit"}, {rcpt, "permit_mynetworks, reject"}}, refused},
		{[][2]string{{relay, ""}, {rcpt, "permit_mynetworks, reject_unauth_destination"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}}, open},
		{[][2]string{{relay, "permit, reject"}}, stops},
		{[][2]string{{relay, "permit_mynetworks, permit, reject_unauth_destination"}}, stops},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {rcpt, "reject_non_fqdn_recipient, permit, reject"}}, open},
		{[][2]string{{relay, "permit, reject"}, {rcpt, "reject_non_fqdn_recipient, permit, reject"}}, stops},
		{[][2]string{{relay, "permit"}}, stops},
		{[][2]string{{relay, "permit_mynetworks, permit_sasl_authenticated"}}, stops},
		{[][2]string{{relay, ""}, {rcpt, ""}}, stops},
		{[][2]string{{relay, "warn_if_reject reject_unauth_destination"}}, stops},
		{[][2]string{{relay, "warn_if_reject reject_unauth_destination"}, {rcpt, "check_client_access static:OK, reject"}}, open},
		{[][2]string{{relay, "warn_if_reject check_client_access static:REJECT, reject_unauth_destination"}}, refused},
		{[][2]string{{relay, "defer_if_permit"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {client, "permit_mynetworks, reject"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {helo, "permit_mynetworks, reject"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {sender, "permit_mynetworks, reject"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {sender, "reject_unknown_sender_domain"}, {"smtpd_data_restrictions", "reject"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {"smtpd_end_of_data_restrictions", "check_client_access static:{REJECT no}"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {client, "reject_unauth_destination"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {client, "reject_unauth_destination"}, {"smtpd_delay_reject", "no"}}, open},
		{[][2]string{{relay, "check_client_access static:OK, reject"}, {client, "permit_mynetworks, reject"}, {"smtpd_delay_reject", "no"}}, refused},
		{[][2]string{{relay, "check_client_access static:OK, reject_unauth_destination"}}, open},
		{[][2]string{{relay, "check_client_access static:DUNNO, reject_unauth_destination"}}, refused},
		{[][2]string{{relay, "check_client_access static:reject_unauth_destination, reject"}}, refused},
		{[][2]string{{relay, "check_client_access inline:{192.0.2.1=OK}, reject_unauth_destination"}}, refused},
		{[][2]string{{relay, "permit"}, {rcpt, known + ", reject"}}, forged},
		{[][2]string{{relay, known + ", reject_unauth_destination"}}, forged},
		{[][2]string{{relay, "check_helo_access inline:{known.test=OK}, reject"}}, forged},
		{[][2]string{{relay, "permit"}, {rcpt, known + ", reject"}, {client, "permit_mynetworks,permit_sasl_authenticated,reject"},
			{helo, "permit_mynetworks,reject_invalid_helo_hostname,permit"}, {sender, "permit_mynetworks,reject"}}, refused}, // as boky/postfix has it
		{[][2]string{{"smtpd_restriction_classes", "mine"}, {"mine", "permit_mynetworks, check_client_access static:OK"}, {relay, "mine, reject_unauth_destination"}}, open},
		{[][2]string{{"smtpd_restriction_classes", "mine"}, {"mine", "permit_mynetworks, reject_unauth_destination"}, {relay, "mine, permit"}}, refused},
		{[][2]string{{"mynetworks", "0.0.0.0/0"}}, "postfix-mynetworks-open"},
		{[][2]string{{"relay_domains", "*"}}, refused},
	}
	w := newWorld(t)
	for i, test := range tests {
		w.services += fmt.Sprintf("%d inet n - n - - smtpd\n", 3000+i)
		for _, l := range test.lists {
			w.services += fmt.Sprintf("  -o { %s = %s }\n", l[0], l[1])
		}
	}
	p := w.startPostfix("", "smtpd_authorized_xclient_hosts = 127.0.0.0/8", "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
		"smtpd_error_sleep_time = 0")
	stopped := 0
	for i, test := range tests {
		if test.want == stops { // it does not answer, for it never gets so far
			conn, err := net.Dial("tcp", fmt.Sprintf("%s.1:%d", w.net, 3000+i))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			stopped++
			await(t, fmt.Sprintf("smtpd to stop at %v", test.lists), func() bool { return len(p.Logged("fatal: in parameter", relay)) >= stopped })
			continue
		}
		plain := p.stranger(3000+i, "client.test", "a@example.org")
		byName := p.stranger(3000+i, "known.test", "known@example.org")
		want := test.want == open || test.want == "postfix-mynetworks-open"
		if (plain == nil) != want {
			t.Errorf("%v: Postfix says %v", test.lists, plain)
		}
		if test.want == forged && byName != nil {
			t.Errorf("%v: Postfix says %v to who forges", test.lists, byName)
		}
	}
	// What the linter says of the same, one service at a time.
	for i, test := range tests {
		got := lintOf(t, p, fmt.Sprintf("%d", 3000+i))
		want := test.want
		if want == refused {
			want = ""
		}
		if got != want {
			t.Errorf("%v: the linter says %q, want %q", test.lists, got, want)
		}
	}
}

// relay_domains is for trivial-rewrite(8) to know, so it takes a main.cf.
func TestRelayDomains(t *testing.T) {
	t.Parallel()
	for value, open := range map[string]bool{"static:all": true, "*": false, "rcpt.test": true, "": false} {
		w := newWorld(t)
		p := w.startPostfix("", "relay_domains = "+value, "smtpd_authorized_xclient_hosts = 127.0.0.0/8",
			"smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination")
		if err := p.stranger(587, "client.test", "a@example.org"); (err == nil) != open {
			t.Errorf("%q: Postfix says %v", value, err)
		}
	}
}

// stranger tries to send mail to elsewhere from an address outside, and
// returns what it is told.
func (p *postfix) stranger(port int, helo, from string) error {
	there := *p
	there.addr = fmt.Sprintf("%s.1:%d", p.w.net, port)
	c, err := there.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.command(220, "XCLIENT NAME=out.example.net ADDR=203.0.113.9"); err != nil {
		return err
	}
	if _, err := c.command(250, "EHLO %s", helo); err != nil {
		return err
	}
	_, err = c.send(from, []string{"reader@rcpt.test"}, letter(from, fmt.Sprint("x", port)))
	return err
}

// lintOf is the code of what the linter says of who may relay by a service, its
// options taken for those of main.cf.
func lintOf(t *testing.T, p *postfix, service string) string {
	t.Helper()
	text, err := os.ReadFile(p.Etc + "/main.cf")
	if err != nil {
		t.Fatal(err)
	}
	config, err := mtaconfig.ReadConfig(p.Etc)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Commands("smtpd") {
		if s.Name != service {
			continue
		}
		for _, o := range s.Options {
			text = append(text, o.Name+" = "+o.Value+"\n"...)
		}
	}
	alone, err := mtaconfig.ParseConfig("main.cf", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lint.Check(alone, lint.Signer{}) {
		switch f.Code {
		case "postfix-open-relay", "postfix-relay-by-map", "postfix-relay-unguarded", "postfix-mynetworks-open":
			if f.Level != finding.Note {
				return f.Code
			}
		}
	}
	return ""
}
