package system

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// stops is for smtpd that does not start.
const stops = "smtpd stops"

// A way in or past the milter: how `signpost postfix check` says that mail goes.
type bypass struct {
	name     string
	settings []string // of main.cf; ADDR is the world's address, MILTER that of the daemon
	services string   // of master.cf
	port     string   // "587" unless told
	sendmail bool     // hand it in with sendmail(1)
	login    bool     // as a foreign client who has logged in
	daemon   []string
	want     string // fate, or the start of the refusal
}

// TestMilterSettings proves what mail becomes under settings that let it pass
// the milter, or meet it twice, or not at all.
func TestMilterSettings(t *testing.T) {
	t.Parallel()
	dead := "smtpd_milters = inet:ADDR.9:8891"
	sasl := []string{"smtpd_authorized_xclient_hosts = 127.0.0.0/8", "smtpd_sasl_auth_enable = no",
		"smtpd_relay_restrictions = check_client_access static:ok, reject"}
	filter := "content_filter = smtp:[ADDR.1]:10025"
	after := "ADDR.1:10025 inet n - n - - smtpd -o content_filter="
	tests := []bypass{
		{name: "stock", want: good},
		{name: "stock by sendmail", sendmail: true, want: good},
		{name: "no smtpd_milters", settings: []string{"smtpd_milters =", "non_smtpd_milters = MILTER"}, want: unsigned},
		{name: "DISABLE", settings: []string{"smtpd_milters = DISABLE"}, want: unsigned},
		{name: "no non_smtpd_milters", settings: []string{"non_smtpd_milters ="}, sendmail: true, want: unsigned},
		{name: "as OpenDKIM writes it", settings: []string{"smtpd_milters = inet:8891@ADDR.8"}, want: "EOF"},
		{name: "a bare host and port", settings: []string{"smtpd_milters = ADDR.8:8891"}, want: "451"},
		{name: "two with a blank between", settings: []string{"smtpd_milters = MILTER MILTER"}, want: twice},
		// The milter is away.
		{name: "tempfail", settings: []string{dead}, want: "451 4.7.1"},
		{name: "accept", settings: []string{dead, "milter_default_action = accept"}, want: unsigned},
		{name: "accept in braces", settings: []string{"smtpd_milters = { inet:ADDR.9:8891, default_action=accept }"}, want: unsigned},
		{name: "tempfail in braces", settings: []string{"smtpd_milters = { inet:ADDR.9:8891, default_action=tempfail }", "milter_default_action = accept"}, want: "451 4.7.1"},
		{name: "accept in braces within braces", settings: []string{"smtpd_milters = { inet:ADDR.9:8891, { default_action = accept } }"}, want: unsigned},
		{name: "blanks in braces", settings: []string{"smtpd_milters = { MILTER, default_action = accept }"}, want: "EOF"},
		{name: "reject", settings: []string{dead, "milter_default_action = reject"}, want: "554 mta.test ESMTP not accepting connections"},
		{name: "quarantine", settings: []string{dead, "milter_default_action = quarantine"}, want: "hold"},
		{name: "unknown action", settings: []string{dead, "milter_default_action = fail"}, want: "451"},
		// Versions of the protocol, and macros.
		{name: "protocol 2", settings: []string{"milter_protocol = 2"}, want: good},
		{name: "protocol 2, simple", settings: []string{"milter_protocol = 2"}, daemon: []string{"--canonicalization=simple/simple"}, want: good},
		{name: "protocol 3", settings: []string{"milter_protocol = 3"}, want: good},
		{name: "protocol 4", settings: []string{"milter_protocol = 4"}, want: good},
		{name: "protocol 5", settings: []string{"milter_protocol = 5"}, want: "451"},
		{name: "protocol 7", settings: []string{"milter_protocol = 7"}, want: "451"},
		{name: "no time", settings: []string{"milter_connect_timeout = soon"}, want: stops},
		{name: "protocol 2 in braces", settings: []string{"smtpd_milters = { MILTER, protocol=2 }"}, want: good},
		{name: "a login", settings: sasl, login: true, want: good},
		{name: "a login, macros cut", settings: append([]string{"milter_mail_macros = i"}, sasl...), login: true, want: good},
		{name: "a login, macros cut, protocol 2", settings: append([]string{"milter_mail_macros = i", "milter_protocol = 2"}, sasl...), login: true, want: good},
		{name: "a login, protocol 2", settings: append([]string{"milter_protocol = 2"}, sasl...), login: true, want: good},
		{name: "ORIGINATING", settings: []string{"milter_macro_daemon_name = ORIGINATING"}, want: good},
		// Around the milter.
		{name: "no_milters", settings: []string{"receive_override_options = no_milters"}, want: unsigned},
		{name: "no_milters on the service", services: "588 inet n - n - - smtpd -o receive_override_options=no_milters", port: "588", want: unsigned},
		{name: "no_milters on pickup", settings: []string{}, services: "pickup unix n - n 60 1 pickup -o receive_override_options=no_milters", sendmail: true, want: unsigned},
		{name: "smtpd_milters emptied on the service", services: "588 inet n - n - - smtpd -o smtpd_milters=", port: "588", want: unsigned},
		{name: "non_smtpd_milters emptied on cleanup", services: "cleanup unix n - n - 0 cleanup -o non_smtpd_milters=", sendmail: true, want: unsigned},
		{name: "milters of cleanup do not matter to SMTP", services: "cleanup unix n - n - 0 cleanup -o non_smtpd_milters= -o smtpd_milters=", want: good},
		{name: "accept on cleanup does not matter to SMTP", settings: []string{dead}, services: "cleanup unix n - n - 0 cleanup -o milter_default_action=accept", want: "451 4.7.1"},
		{name: "smtpd_milter_maps", settings: []string{"smtpd_milter_maps = static:DISABLE"}, want: unsigned},
		{name: "milter of a chrooted smtpd outside of the queue", settings: []string{"smtpd_milters = unix:DIR/run/milter.sock"},
			services: "588 inet n - y - - smtpd", port: "588", daemon: []string{"--listen=unix:DIR/run/milter.sock"}, want: "451 4.7.1"},
		{name: "milter of smtpd without chroot", settings: []string{"smtpd_milters = unix:DIR/run/milter.sock"},
			services: "588 inet n - n - - smtpd", port: "588", daemon: []string{"--listen=unix:DIR/run/milter.sock"}, want: good},
		// Twice through.
		{name: "content filter", settings: []string{filter}, services: after, want: twice},
		{name: "content filter, no_milters behind it", settings: []string{filter}, services: after + " -o receive_override_options=no_milters", want: good},
		{name: "content filter, no milters behind it", settings: []string{filter}, services: after + " -o smtpd_milters=", want: good},
		{name: "content filter, milter only behind it", settings: []string{filter, "smtpd_milters ="}, services: after + " -o smtpd_milters=MILTER", want: good},
		{name: "content filter that changes the message", settings: []string{filter},
			services: after + " -o smtpd_milters= -o cleanup_service_name=changing\nchanging unix n - n - 0 cleanup -o body_checks=regexp:{{/^Bye/$REPLACE$Buy}}", want: broken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t)
		})
	}
}

func (b bypass) run(t *testing.T) {
	w := newWorld(t)
	w.makeRunDir()
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	fill := strings.NewReplacer("ADDR", w.net, "MILTER", w.milterAddr(), "DIR", w.dir, "$REPLACE$", " REPLACE ").Replace
	var daemon, settings []string
	for _, s := range b.daemon {
		daemon = append(daemon, fill(s))
	}
	for _, s := range b.settings {
		settings = append(settings, fill(s))
	}
	w.startDaemon(daemon...)
	w.services = fill(b.services) + "\n"
	p := w.startPostfix(w.milterAddr(), settings...)
	if b.port != "" {
		p.addr = w.net + ".1:" + b.port
	}
	if b.want == stops { // it does not answer, for it never gets so far
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		await(t, "smtpd to stop", func() bool { return len(p.Logged("smtpd", "fatal:")) > 0 })
		return
	}
	err := b.submit(p, "x")
	if err != nil {
		_, reply, _ := strings.Cut(err.Error(), ": ")
		if !strings.HasPrefix(strings.ReplaceAll(reply, `"`, ""), b.want) {
			t.Errorf("refused with %q, want %s", reply, b.want)
		}
		return
	}
	if b.want == "hold" {
		if queue := w.run("postqueue", "-c", p.Etc, "-p"); !strings.Contains(queue, "!") {
			t.Errorf("nothing is on hold:\n%s", queue)
		}
		return
	}
	if got := w.fate(w.awaitDelivery("x")); got != b.want {
		t.Errorf("%s, want %s", got, b.want)
	}
}

// submit hands in one message; the error has the reply of Postfix.
func (b bypass) submit(p *postfix, id string) error {
	message := letter("a@example.org", id)
	if b.sendmail {
		command := p.w.command("sendmail", "-C", p.Etc, "-i", "-f", "a@example.org", "reader@rcpt.test")
		command.Stdin = strings.NewReader(strings.ReplaceAll(string(message), "\r\n", "\n"))
		return runQuietly(command)
	}
	c, err := p.dial()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	defer c.Close()
	if b.login {
		if _, err := c.command(220, "XCLIENT NAME=out.example.net ADDR=203.0.113.9 LOGIN=user"); err != nil {
			return err
		}
		if _, err := c.command(250, "EHLO client.test"); err != nil {
			return err
		}
	}
	_, err = c.send("a@example.org", []string{"reader@rcpt.test"}, message)
	return err
}

func runQuietly(command *exec.Cmd) error {
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
