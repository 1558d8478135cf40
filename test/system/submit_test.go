package system

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
)

// Two domains whose keys the daemon made are signed each with its own key, and
// the records from the .txt files are what the verifiers need. A domain
// without a key goes unsigned, unless it is one that must be signed.
func TestSubmissionIsSignedWithGeneratedKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.startDaemon("DKIM_AUTOGENERATE=yes", "ALLOWED_SENDER_DOMAINS=one.example two.example")
	w.publishText("one.example")
	w.publishText("two.example")
	p := w.startPostfix(w.milterAddr())
	for _, domain := range []string{"one.example", "two.example"} {
		from := "sender@" + domain
		queueID := p.mustSubmit(from, "reader@rcpt.test", letter(from, domain))
		message := w.awaitDelivery(domain)
		w.mustVerify(message, rsaSignature(domain, "mail"))
		if !bytes.HasSuffix(message, letter(from, domain)) {
			t.Errorf("the message was changed:\n%s", message)
		}
		line := queueID + ": DKIM-Signature field added (s=mail, d=" + domain + ")"
		if len(d.logged(line)) != 1 {
			t.Errorf("log lines with %q: %q, want one", line, d.logged(line))
		}
	}

	queueID := p.mustSubmit("sender@other.example", "reader@rcpt.test", letter("sender@other.example", "other"))
	w.mustBeUnsigned(w.awaitDelivery("other"))
	if len(d.logged(queueID, "reason=no-key", "from=other.example")) != 1 {
		t.Error("log does not say why other.example is not signed")
	}
}

// A domain that must be signed and has no key is held back, and not sent
// naked; its mail goes out as soon as the key is there.
func TestMailThatMustBeSignedIsRefusedWithoutKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.startDaemon("ALLOWED_SENDER_DOMAINS=example.org")
	p := w.startPostfix(w.milterAddr())
	early, late := letter("a@example.org", "early"), letter("a@example.org", "late")
	p.mustRefuse("a@example.org", "reader@rcpt.test", early, 451, "4.7.1")
	if len(d.logged("reason=no-key", "level=ERROR", "from=example.org")) != 1 {
		t.Error("log does not say why the message was refused")
	}

	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	await(t, "the key to be taken up", func() bool { return len(d.logged("key added")) > 0 })
	p.mustSubmit("a@example.org", "reader@rcpt.test", late)
	w.mustVerify(w.awaitDelivery("late"), rsaSignature("example.org", "mail"))
	if n := len(w.sink.All()); n != 1 {
		t.Errorf("%d messages arrived, want only the signed one", n)
	}
}

// Mail from sendmail(1) comes by another way through Postfix: no SMTP client,
// no angle brackets, line ends without CR, and here a last line without any.
func TestSendmailIsSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	socket := "unix:" + w.dir + "/run/milter.sock"
	w.makeRunDir()
	d := w.startDaemon("--listen=" + socket)
	p := w.startPostfix(socket)
	var messages []signedMessage
	for name, body := range map[string]string{
		"plain":      "Hello.\n.\n..\nBye.\n",
		"unended":    "Hello.\nBye.",
		"empty":      "",
		"eight-bit":  "Gr\xc3\xbc\xc3\x9fe \xff\xfe\n",
		"blank-ends": "Hello. \t\n\n\n\n",
	} {
		sendmail := w.command("sendmail", "-C", p.Etc, "-i", "-f", "a@example.org", "reader@rcpt.test")
		sendmail.Stdin = strings.NewReader("From: A <a@example.org>\nTo: reader@rcpt.test\nSubject: " + name + "\n\n" + body)
		if out, err := sendmail.CombinedOutput(); err != nil {
			t.Fatalf("sendmail: %v\n%s", err, out)
		}
		await(t, "delivery of "+name, func() bool { return len(w.sink.Find("Subject: "+name+"\r\n")) > 0 })
		message := w.sink.Find("Subject: " + name + "\r\n")[0].Data
		messages = append(messages, signedMessage{message, []signature{rsaSignature("example.org", "mail")}})
		if want := crlf(body); !bytes.HasSuffix(message, []byte(want)) {
			t.Errorf("%s: body was changed:\n%q\nwant %q", name, message, want)
		}
	}
	w.mustVerifyAll(messages)
	if len(d.logged("DKIM-Signature field added", "client=local")) != 5 {
		t.Error("log does not call the client local")
	}
}

// crlf is what Postfix sends for text with bare line feeds.
func crlf(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// A bounce has no sender but an author: it is signed when it comes by SMTP.
func TestNullSenderIsSignedForItsAuthor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	p.mustSubmit("", "reader@rcpt.test", letter("mailer-daemon@example.org", "bounce"))
	w.mustVerify(w.awaitDelivery("bounce"), rsaSignature("example.org", "mail"))
}

// What waits in the queue was signed when it came in: it leaves with that
// signature, though the key and the daemon are gone.
func TestDeferredMailKeepsItsSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	w.sink.RefuseAll(true)
	p.mustSubmit("a@example.org", "reader@rcpt.test", letter("a@example.org", "deferred"))
	await(t, "a deferral", func() bool { return w.sink.Deferrals() > 0 })
	w.removeKey("example.org.private")
	d.kill(syscall.SIGKILL)
	w.sink.RefuseAll(false)
	w.mustVerify(w.awaitDelivery("deferred"), rsaSignature("example.org", "mail"))
}
