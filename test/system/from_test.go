package system

import (
	"bytes"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
)

// fromFields are hard From fields, and what is to be done with a message that comes by
// SMTP, and of some by sendmail(1): "signed", "unsigned", or the reason with which it is
// refused. Postfix lets them pass, and rewrites what comes by sendmail(1).
var fromFields = []struct{ fields, want, local string }{
	{"From: (c) alice@(x)example.org", "signed", "signed"},
	{"From: <alice@ example.org>", "signed", ""},
	{"From: a @ example . org", "signed", ""},
	{"From: (a (b) \\) c)\r\n <a(x)@\r\n\t(y)example.(z)org> (d)", "signed", ""},
	{"From: \"m@evil.test\" <a@example.org>", "signed", ""},
	{"From: =?utf-8?q?m=40evil.test?= <a@example.org>", "signed", ""},
	{"From: Editors: a@example.org, b@example.org;", "signed", ""},
	{"From: info@example.org <info@example.org>", "signed", ""},
	{"From: Jobs @ Example <jobs@example.org>", "signed", "signed"},
	{"From: backup@db1 (Cron) <a@example.org>", "signed", "signed"},
	{"From: info@example.org via List <a@example.org>", "signed", "signed"},
	{"From: Jane <a@example.org> via List", "signed", ""},
	{"From: John :) <a@example.org>", "signed", ""},
	{"From: Shop <DOMAIN\\user@example.org>", "signed", "signed"},
	{"From : a@example.org", "signed", ""},
	{"From: m@evil.test <a@example.org>", "from-ambiguous", "from-ambiguous"},
	{"From: <@relay.test:a@example.org>", "from-ambiguous", "signed"}, // without the route
	{"From: a@exam\u00adple.org", "from-ambiguous", ""},
	{"From: a@\uff45xample.org", "from-ambiguous", ""},
	{"From: a@exam\u200bple.org", "from-ambiguous", ""},
	{"From: <a@exam(x)ple.org>", "from-invalid", ""},
	{"From: a@example.org (open", "from-invalid", ""},
	{"From: \"a@example.org", "from-invalid", "unsigned"}, // "a@example.org"@mta.test
	{"From: <a@example.org", "from-invalid", "signed"},
	{"From: a@example.org\rX: y", "from-invalid", ""},
	{"From: a\r@example.org", "from-invalid", ""},
	{"Subject: x\rFrom: a@example.org", "from-invalid", ""},
	{"Subject: x\rFrom: a@must.example\r\nFrom: b@other.example", "from-multiple", "from-multiple"},
	{"From: a@[example.org]", "from-invalid", ""},
	{"From: =?utf-8?q?a=40example.org?=", "from-invalid", "from-invalid"}, // with @mta.test
	{"From: a@example.org, b@other.example", "from-multiple", "from-multiple"},
	{"From: a@example.org\r\nFrom: b@other.example", "from-multiple", ""},
	{"From: b@other.example\r\nFrom : a@example.org", "from-multiple", "from-multiple"},
	{"From\t: a@must.example\r\nFROM: b@other.example", "from-multiple", ""},
	{"From: a@must.example (open", "from-invalid", "from-invalid"},
	{"From: <a@other.example", "unsigned", ""},
	{"From: a@other.example\r\nFrom: b@other.example", "unsigned", "unsigned"},
	{"From: \"a@example.org\" <b@other.example>", "unsigned", ""},
}

// TestHardFromFields sends each of the fields by SMTP and by sendmail(1): what arrives is
// signed for its author and verifies, or is nobody's of ours; the rest is refused with the
// reason, or bounces; nothing is lost.
func TestHardFromFields(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon("--domains=example.org must.example")
	p := w.startPostfix(w.milterAddr(), "local_header_rewrite_clients =", "cleanup_replace_stray_cr_lf = no",
		"smtpd_soft_error_limit = 1000", "smtpd_hard_error_limit = 1000")
	c, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	arrives := make(map[string]string) // what is to be done with it, by id
	refusals := make(map[string]int)   // by reason
	sent := 0
	for i, from := range fromFields {
		for way, want := range map[string]string{"smtp": from.want, "sendmail": from.local} {
			if want == "" {
				continue
			}
			sent++
			id := fmt.Sprintf("%s%d", way, i)
			message := "To: reader@rcpt.test\r\n" + from.fields + "\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n" +
				"Message-ID: <" + id + "@mta.test>\r\n\r\nHello.\r\n"
			refused := want != "signed" && want != "unsigned"
			if refused {
				refusals[want]++
			} else {
				arrives[id] = want
			}
			if way == "sendmail" {
				sendmail := w.command("sendmail", "-C", p.Etc, "-i", "-f", "", "reader@rcpt.test")
				sendmail.Stdin = strings.NewReader(strings.ReplaceAll(message, "\r\n", "\n"))
				if out, err := sendmail.CombinedOutput(); err != nil {
					t.Fatalf("sendmail: %v\n%s", err, out)
				}
				continue
			}
			_, err := c.send("", []string{"reader@rcpt.test"}, []byte(message))
			reply := new(textproto.Error)
			switch {
			case !refused && err != nil:
				t.Errorf("%q: %v", from.fields, err)
			case refused && (!errors.As(err, &reply) || reply.Code != 550 || !strings.HasPrefix(reply.Msg, "5.7.1 mail of ")):
				t.Errorf("%q: %v, want a refusal", from.fields, err)
			}
		}
	}
	await(t, "all to arrive or to be refused", func() bool {
		return len(w.sink.All()) >= len(arrives) && len(d.logged("queue=")) >= sent
	})
	var signed []signedMessage
	for _, m := range w.sink.All() {
		_, rest, _ := bytes.Cut(m.Data, []byte("Message-ID: <"))
		id, _, _ := bytes.Cut(rest, []byte("@mta.test>"))
		switch arrives[string(id)] {
		case "signed":
			signed = append(signed, signedMessage{m.Data, []signature{want}})
		case "unsigned":
			w.mustBeUnsigned(m.Data)
		default:
			t.Errorf("%s arrives, which should not:\n%s", id, m.Data)
		}
		delete(arrives, string(id))
	}
	if len(arrives) > 0 {
		t.Errorf("lost: %v", arrives)
	}
	w.mustVerifyAll(signed)
	for reason, n := range refusals {
		logged := d.logged("level=ERROR", "refused, for it would go out unsigned", "reason="+reason, "hint=")
		if len(logged) != n {
			t.Errorf("the log has %d refusals with %s, want %d", len(logged), reason, n)
		}
	}
}
