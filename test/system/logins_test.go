package system

import (
	"errors"
	"net/textproto"
	"os"
	"testing"
)

// Of who may write as whom, signpostd says of From what Postfix says of the envelope, by the
// same maps; and a change of them is in force for both. Postfix is told the login by XCLIENT.
func TestSenderLoginMaps(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	table := w.write("logins", "anna@example.org anna\nb@example.org bert, anna\n\"a b\"@example.org anna\ndora local\n@local.test mallory\n")
	patterns := w.write("patterns", "if !/^x/\n/^(.*)@by-name\\.test$/ $1\nendif\n")
	maps := "texthash:" + table + ", regexp:" + patterns + ", inline:{ {@other.test = carla, dora} }"
	d := w.startDaemon("--sender-login-maps="+maps, "--sender-login-local=local.test")
	p := w.startPostfix(w.milterAddr(), append(w.loginSettings(),
		"smtpd_authorized_xclient_hosts = 127.0.0.0/8",
		"smtpd_delay_reject = no",
		"mydestination = local.test",
		"recipient_delimiter = +",
		"smtpd_sender_login_maps = "+maps,
		"smtpd_sender_restrictions = reject_known_sender_login_mismatch")...)

	// said returns the codes of the envelope and of From.
	said := func(login, address string) (envelope, from int) {
		t.Helper()
		for _, sender := range []string{address, ""} {
			conn, err := p.dial()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.command(220, "XCLIENT NAME=out.example.net ADDR=203.0.113.9 LOGIN=%s", login); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.command(250, "EHLO client.test"); err != nil {
				t.Fatal(err)
			}
			refused := new(textproto.Error)
			if sender != "" {
				_, err = conn.command(250, "MAIL FROM:<%s>", sender)
			} else {
				_, err = conn.send("", []string{"reader@rcpt.test"}, letter(address, "m"))
			}
			conn.Close()
			if err != nil && !errors.As(err, &refused) {
				t.Fatal(err)
			}
			if sender != "" {
				envelope = refused.Code
			} else {
				from = refused.Code
			}
		}
		return envelope, from
	}
	refusals := 0
	for _, c := range []struct{ login, address string }{
		{"anna", "anna@example.org"}, {"ANNA", "Anna@EXAMPLE.org"}, {"bert", "anna@example.org"}, {"anna", "b@example.org"},
		{"anna", "anna+x@example.org"}, {"bert", "anna+x@example.org"}, {"anna", "nobody@example.org"},
		{"carla", "x@other.test"}, {"anna", "x@other.test"}, {"local", "dora@local.test"}, {"mallory", "dora@local.test"},
		{"local", "dora+x@local.test"}, {"mallory", "emil@local.test"}, {"emil", "emil@by-name.test"}, {"anna", "emil@by-name.test"},
		{"anna", "xemil@by-name.test"}, {"anna", `"a b"@example.org`}, {"bert", `"a b"@example.org`},
	} {
		envelope, from := said(c.login, c.address)
		if envelope == 553 && from == 550 {
			refusals++
		} else if envelope != 0 || from != 0 {
			t.Errorf("%s as %s: Postfix says %d of the envelope, signpostd %d of From", c.login, c.address, envelope, from)
		}
	}
	if n := len(d.logged("reason=login-mismatch")); n != refusals || n == 0 {
		t.Errorf("%d mismatches are logged, want %d", n, refusals)
	}
	if len(d.logged("reason=login-mismatch", "login=bert", "from=example.org")) == 0 {
		t.Error("the log lacks login and domain")
	}
	w.mustVerify(w.awaitDelivery("m"), want)

	// Another file in its place, as by an editor, though signpostd is confined; then a broken one.
	next := w.write("next", "anna@example.org bert\n")
	if err := os.Rename(next, table); err != nil {
		t.Fatal(err)
	}
	await(t, "the other file", func() bool { _, from := said("bert", "anna@example.org"); return from == 0 })
	w.write("logins", "anna@example.org\n")
	await(t, "its error", func() bool { return len(d.logged("level=ERROR", "logins: line 1:")) == 1 })
	if _, from := said("anna", "anna@example.org"); from != 550 {
		t.Errorf("with a broken file, From gets %d", from)
	}
}
