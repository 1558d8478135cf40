package system

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signpost/test/lab"
)

// bouncing are the settings of a Postfix whose bounces meet the milter.
func bouncing(origin string) []string {
	return []string{"myhostname = mail.example.org", "myorigin = " + origin, "internal_mail_filter_classes = bounce"}
}

// bounce has a message come back to reader@rcpt.test, and returns the bounce.
func (p *postfix) bounce(id string) lab.Delivery {
	p.w.t.Helper()
	p.mustSubmit("reader@rcpt.test", "nobody@nowhere.test", letter("a@rcpt.test", id))
	return p.w.awaitBounce(id)
}

// awaitBounce waits for the bounce of the message with the id.
func (w *world) awaitBounce(id string) (bounce lab.Delivery) {
	w.t.Helper()
	await(w.t, "the bounce of "+id, func() bool {
		for _, d := range w.sink.Find("Undelivered Mail Returned to Sender") {
			if bytes.Contains(d.Data, []byte("Subject: "+id+"\r\n")) {
				bounce = d
			}
		}
		return bounce.Data != nil
	})
	if bounce.From != "" {
		w.t.Errorf("the sender of the bounce is %q", bounce.From)
	}
	return bounce
}

// author is the value of From.
func author(message []byte) string {
	_, rest, _ := bytes.Cut(append([]byte("\n"), message...), []byte("\nFrom: "))
	value, _, _ := bytes.Cut(rest, []byte("\r"))
	return string(value)
}

// TestBounces: a bounce meets the milter where internal_mail_filter_classes says so, and is
// signed where a key covers myorigin: of that name itself or, with --subdomains, of the domain
// above it. So d= is the domain of From or the one above it, which is what DMARC aligns.
func TestBounces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key, origin, daemon string
		classes             string
		signs               string // d=
	}{
		"key of the domain":        {key: "example.org", origin: "example.org", classes: "bounce", signs: "example.org"},
		"key of the host":          {key: "mail.example.org", origin: "$myhostname", classes: "bounce", signs: "mail.example.org"},
		"key of the domain above":  {key: "example.org", origin: "$myhostname", classes: "bounce", daemon: "--subdomains", signs: "example.org"},
		"no class":                 {key: "example.org", origin: "example.org"},
		"notices to postmaster":    {key: "example.org", origin: "example.org", classes: "notify"},
		"a key that does not sign": {key: "example.org", origin: "$myhostname", classes: "bounce"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.addKey("rsa", c.key+".private", rsaSignature(c.key, "mail"))
			w.startDaemon("ALLOWED_SENDER_DOMAINS="+c.key, or(c.daemon, "--subdomains=false"))
			p := w.startPostfix(w.milterAddr(), append(bouncing(c.origin), "internal_mail_filter_classes = "+c.classes)...)
			bounce := p.bounce("x")
			want := "Mail Delivery System <MAILER-DAEMON@" + strings.Replace(c.origin, "$myhostname", "mail.example.org", 1) + ">"
			if got := author(bounce.Data); got != want {
				t.Errorf("From is %q, want %q", got, want)
			}
			if c.signs == "" {
				w.mustBeUnsigned(bounce.Data)
				return
			}
			w.mustVerify(bounce.Data, rsaSignature(c.signs, "mail"))
		})
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestBouncesWithoutKey: where no key covers myorigin, and be it that of a domain that must be
// signed, a bounce leaves unsigned and at once, and so does a notice to the postmaster. The log
// says why, and it is counted. Other mail of that domain waits.
func TestBouncesWithoutKey(t *testing.T) {
	t.Parallel()
	for name, must := range map[string]string{"may": "rcpt.test", "must": "example.org rcpt.test"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			page := w.net + ".8:8892"
			w.addKey("rsa", "rcpt.test.private", rsaSignature("rcpt.test", "mail"))
			d := w.startDaemon("ALLOWED_SENDER_DOMAINS="+must, "--http="+page, "--on-broken-later=reject")
			p := w.startPostfix(w.milterAddr(), append(bouncing("example.org"),
				"notify_classes = 2bounce", "2bounce_notice_recipient = reader@rcpt.test")...)
			w.mustBeUnsigned(p.bounce("x").Data)
			if len(d.logged("not signed", "from=example.org", "reason=no-key")) != 1 {
				t.Error("the log does not say why the bounce is not signed")
			}
			reply, err := http.Get("http://" + page + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Body.Close()
			metrics, err := io.ReadAll(reply.Body)
			if want := `reason="no-key",result="unsigned"} 1`; err != nil || !strings.Contains(string(metrics), want) {
				t.Errorf("the metrics lack %s: %v\n%s", want, err, metrics)
			}

			p.mustSubmit("", "nobody@nowhere.test", letter("a@rcpt.test", "double"))
			await(t, "the notice to the postmaster", func() bool { return len(w.sink.Find("Postmaster Copy: Undelivered Mail")) > 0 })
			w.mustBeUnsigned(w.sink.Find("Postmaster Copy: Undelivered Mail")[0].Data)
			if must == "rcpt.test" {
				return
			}
			p.mustRefuse("a@example.org", "reader@rcpt.test", letter("a@example.org", "other"), 451, "")
		})
	}
}

// TestBouncesWait: while the key is broken, and while signpostd is away, Postfix keeps the
// message and tries the bounce again, past the time that it keeps mail: nothing is lost.
func TestBouncesWait(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	w.addKey("rsa", "example.net.private", rsaSignature("example.net", "mail")) // it does not start without
	whole := filepath.Join(w.keys, "example.org.private")
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(whole, content[:100], 0o644); err != nil {
		t.Fatal(err)
	}
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr(), append(bouncing("example.org"),
		"smtpd_milters =", "non_smtpd_milters = "+w.milterAddr(), "maximal_queue_lifetime = 1s")...)
	id := p.mustSubmit("reader@rcpt.test", "nobody@nowhere.test", letter("a@rcpt.test", "x"))
	waits := func() bool { return len(p.Logged(id, "bounce failed")) > 2 }
	await(t, "the bounce to fail three times", waits)
	if len(d.logged("deferred, ", "reason=key-broken")) == 0 {
		t.Error("the log does not say why the bounce is deferred")
	}
	d.kill(15)
	before := len(p.Logged(id, "bounce failed"))
	await(t, "the bounce to fail without signpostd", func() bool { return len(p.Logged(id, "bounce failed")) > before+1 })
	if all := w.sink.All(); len(all) > 0 {
		t.Fatalf("%d messages arrived", len(all))
	}
	if err := os.WriteFile(whole, content, 0o644); err != nil {
		t.Fatal(err)
	}
	w.startDaemon()
	w.mustVerify(w.awaitBounce("x").Data, want)
	await(t, "the message to be gone", func() bool { return len(p.Logged(id+": removed")) > 0 })
	if all := w.sink.All(); len(all) != 1 {
		t.Errorf("%d bounces arrived, want 1", len(all))
	}
}

// TestBouncesWithLongLines: a bounce that a long line breaks is never refused, for Postfix
// would try it again for ever.
func TestBouncesWithLongLines(t *testing.T) {
	t.Parallel()
	w, _ := newSigningWorld(t)
	d := w.startDaemon("SIGNPOST_ON_BROKEN_LATER=reject")
	p := w.startPostfix(w.milterAddr(), append(bouncing("example.org"), "smtpd_milters =", "non_smtpd_milters = "+w.milterAddr())...)
	p.mustSubmit("reader@rcpt.test", "nobody@nowhere.test", append(letter("a@rcpt.test", "x"), strings.Repeat("x", 999)+"\r\n"...))
	if got := w.fate(w.awaitBounce("x").Data); got != broken {
		t.Errorf("%s, want %s", got, broken)
	}
	if len(d.logged("the signature breaks on delivery", "from=example.org")) != 1 {
		t.Error("the log does not warn of the line")
	}
}
