package system

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// All layouts of the key directory work beside each other, RSA and Ed25519
// together give two signatures, and opendkim-genkey's files are taken as they
// are.
func TestAllLayoutsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cases := []struct {
		domain string
		want   []signature
	}{
		{"flat.example", []signature{rsaSignature("flat.example", "flat")}},
		{"folder.example", []signature{rsaSignature("folder.example", "r1"), ed25519Signature("folder.example", "e1")}},
		{"rspamd.example", []signature{rsaSignature("rspamd.example", "dkim")}},
		{"mixed.example", []signature{rsaSignature("mixed.example", "other"), ed25519Signature("mixed.example", "e.2026")}},
		{"only-ed.example", []signature{ed25519Signature("only-ed.example", "e1")}},
		{"kumo.example", []signature{rsaSignature("kumo.example", "s1024")}},
		{"dms-rspamd.example", []signature{rsaSignature("dms-rspamd.example", "flat")}},
		{"genkey.example", []signature{rsaSignature("genkey.example", "gen")}},
	}
	w.addKey("rsa", "flat.example.private", cases[0].want[0])
	w.addKey("rsa", "folder.example/r1.private", cases[1].want[0])
	w.addKey("ed25519", "folder.example/e1.private", cases[1].want[1])
	w.addKey("rsa", "rspamd.example.dkim.key", cases[2].want[0])
	w.addKey("rsa", "mixed.example.private", cases[3].want[0])
	w.addKey("ed25519", "mixed.example/e.2026.private", cases[3].want[1])
	w.addKey("ed25519", "only-ed.example/e1.private", cases[4].want[0])
	w.addKey("rsa", "kumo.example/s1024.key", cases[5].want[0])
	w.addKey("rsa", "rsa-2048-flat-dms-rspamd.example.private.txt", cases[6].want[0])
	w.genkey("genkey.example", "gen")

	w.startDaemon("DKIM_SELECTOR=flat,mixed.example=other")
	p := w.startPostfix(w.milterAddr())
	var messages []signedMessage
	for _, c := range cases {
		p.mustSubmit("a@"+c.domain, "reader@rcpt.test", letter("a@"+c.domain, c.domain))
		messages = append(messages, signedMessage{w.awaitDelivery(c.domain), c.want})
	}
	w.mustVerifyAll(messages)
}

// genkey makes a key by opendkim-genkey and publishes what it says to publish.
func (w *world) genkey(domain, selector string) {
	w.t.Helper()
	dir := filepath.Join(w.keys, domain)
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	w.run("opendkim-genkey", "--bits=2048", "--domain="+domain, "--selector="+selector, "--directory="+dir)
	w.run("chown", "-R", "65532", dir)
	text, err := os.ReadFile(filepath.Join(dir, selector+".txt"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.dns.Publish(w.t, domain, string(text))
}

// A broken key file is named in the log and harms nobody else; a key that was
// good before it broke goes on signing.
func TestBrokenKeyAmongGoodOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, was := rsaSignature("good.example", "mail"), rsaSignature("was-good.example", "mail")
	w.addKey("rsa", "good.example.private", good)
	w.addKey("rsa", "was-good.example.private", was)
	w.dropKey("never-good.example.private", key{pem: []byte("-----BEGIN PRIVATE KEY-----\nbm9uc2Vuc2U=\n-----END PRIVATE KEY-----\n")})
	w.dropKey("NOT A DOMAIN!.private", newKey(t, "ed25519"))
	w.dropKey("README", key{pem: []byte("not a key\n")})
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	w.dropKey("was-good.example.private", key{pem: []byte("spilled coffee\n")})
	for _, file := range []string{"never-good.example.private", "was-good.example.private", "NOT A DOMAIN!.private"} {
		await(t, "the log to name "+file, func() bool { return len(d.logged("level=ERROR", file)) > 0 })
	}
	if found := d.logged("README"); len(found) > 0 {
		t.Errorf("log speaks of README: %s", found[0])
	}

	for _, domain := range []string{"good.example", "was-good.example"} {
		p.mustSubmit("a@"+domain, "reader@rcpt.test", letter("a@"+domain, domain))
	}
	w.mustVerifyAll([]signedMessage{
		{w.awaitDelivery("good.example"), []signature{good}},
		{w.awaitDelivery("was-good.example"), []signature{was}},
	})
	p.mustRefuse("a@never-good.example", "reader@rcpt.test", letter("a@never-good.example", "x"), 451, "4.7.1")

	// Said once, not at every reload.
	d.signal(syscall.SIGHUP)
	await(t, "the reload", func() bool { return len(d.logged("keys reloaded")) > 0 })
	for _, file := range []string{"never-good.example.private", "was-good.example.private"} {
		if n := len(d.logged("level=ERROR", "key broken", file)); n != 1 {
			t.Errorf("log names %s %d times, want once", file, n)
		}
	}
}

// SIGHUP reads the keys at once, and mail in flight does not notice.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	s := p.startStream(3, "example.org")
	for n := 1; n <= 20; n++ {
		d.signal(syscall.SIGHUP)
		await(t, "the reload", func() bool { return len(d.logged("keys reloaded")) >= n })
	}
	s.awaitMore(5)
	all, refused := s.finish()
	if len(refused) > 0 {
		t.Errorf("%d attempts failed, first %v", len(refused), refused[0])
	}
	w.mustVerifyAll(allSignedBy(of(all, "example.org"), want))
}
