package milter

import (
	"crypto"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"signpost/keystore"
	ours "signpost/milter/dkim"
)

var hello = []string{"From: Jane <jane@example.org>", "To: b@example.net", "Subject:  Hello", "Date: Sun, 22 Nov 2026 16:40:42 +0000"}

func (p *post) mustSign(m *mta, fields []string, body string) {
	p.Helper()
	m.begin(fields...)
	signatures, action := m.end(body)
	if action.Type != gomilter.ActionAccept || len(signatures) != 1 {
		p.Fatalf("got %v and %d signatures; the log:\n%s", action, len(signatures), p.log)
	}
	p.verify(signatures[0], fields, body)
}

func TestSigns(t *testing.T) {
	t.Parallel()
	for _, canonicalization := range []string{"relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"} {
		p := newPost(t, func(c *Config) {
			c.Policy.Header, c.Policy.Body, _ = ours.ParseCanonicalization(canonicalization)
		})
		m := p.session()
		p.mustSign(m, hello, "first line \r\n\r\n\r\n")
		// Folded fields come with bare line feeds, and go out with CRLF.
		m.begin("From: jane@example.org", "Subject: one\n\ttwo")
		signatures, _ := m.end("x")
		p.verify(signatures[0], []string{"From: jane@example.org", "Subject: one\r\n\ttwo"}, "x\r\n")
		p.log.await(t, `msg="4bC3d: DKIM-Signature field added (s=mail, d=example.org)"`, "client=127.0.0.1", "from=example.org")
	}
}

func TestOneConnectionManyMessages(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	m := p.session()
	stranger := []string{"From: jane@other.example", "To: x@example.net"}
	for i := range 3 {
		p.mustSign(m, hello, fmt.Sprintf("message %d\r\n", i))
		// Broken off within the header, and then within the body.
		m.must(m.Mail("<a@example.org>", ""))
		m.must(m.Rcpt("<b@example.net>", ""))
		m.must(m.DataStart())
		m.must(m.HeaderField("From", " left@over.example", nil))
		if err := m.Abort(nil); err != nil {
			t.Fatal(err)
		}
		p.mustSign(m, hello, "after an abort\r\n")
		m.begin(stranger...)
		m.must(m.BodyChunk([]byte("left over")))
		if err := m.Abort(nil); err != nil {
			t.Fatal(err)
		}
		m.begin(stranger...)
		if signatures, action := m.end("x\r\n"); len(signatures) != 0 || action.Type != gomilter.ActionAccept {
			t.Errorf("a message without a key: %v, %v", signatures, action)
		}
	}
	p.log.await(t, `msg="4bC3d: not signed"`, "from=other.example", "reason=no-key")
	if got := p.Counters().Messages(); got[Signed] != 6 || got[NoKey] != 3 {
		t.Errorf("counted %v", got)
	}
}

func TestWhoIsSigned(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	for name, test := range map[string]struct {
		addr   string
		port   uint16
		login  string
		field  string
		signed bool
		reason string
	}{
		"trusted":          {"127.0.0.1", 1025, "", "From: a@example.org", true, ""},
		"stranger":         {"192.0.2.1", 1025, "", "From: a@example.org", false, "untrusted-client"},
		"login":            {"192.0.2.1", 1025, "jane", "From: a@example.org", true, ""},
		"local submission": {"127.0.0.1", 0, "", "From: a@example.org", true, ""},
		"no From":          {"127.0.0.1", 1025, "", "To: a@example.org", false, "from-missing"},
	} {
		m := p.session()
		if err := m.Reset(m.macros); err != nil {
			t.Fatal(err)
		}
		if test.login != "" {
			m.macros.Set(gomilter.MacroAuthAuthen, test.login)
		}
		m.connect(test.addr, test.port)
		m.begin(test.field)
		signatures, action := m.end("x\r\n")
		if action.Type != gomilter.ActionAccept || (len(signatures) > 0) != test.signed {
			t.Errorf("%s: %v, %d signatures", name, action, len(signatures))
		}
		if test.reason != "" {
			p.log.await(t, "not signed", "reason="+test.reason)
		}
	}
	p.log.await(t, "field added", `client="192.0.2.1 (jane)"`)
	p.log.await(t, "field added", "client=local")

	// The login of one message is not that of the next.
	m := p.session()
	m.macros.Set(gomilter.MacroAuthAuthen, "jane")
	if err := m.Reset(m.macros); err != nil {
		t.Fatal(err)
	}
	m.connect("192.0.2.1", 1025)
	m.begin("From: a@example.org")
	m.end("x")
	m.macros.Set(gomilter.MacroAuthAuthen, "")
	m.begin("From: a@example.org")
	if signatures, _ := m.end("x"); len(signatures) != 0 {
		t.Error("signed for a login that is over")
	}
}

// Mail that must be signed and cannot be is deferred.
func TestRefusesRatherThanNaked(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.HeaderBytes = 20 << 10 })
	p.keys.Store(keysFor(t, "example.org", "!broken.example"))
	m := p.session()
	for reason, fields := range map[Reason][]string{
		NoKey:          {"From: a@must.example"},
		KeyBroken:      {"From: a@broken.example"},
		HeaderTooLarge: {"From: a@example.org", "Subject: " + strings.Repeat("x", 10<<10), "To: " + strings.Repeat("x", 10<<10)},
	} {
		m.begin(fields...)
		signatures, action := m.end("x\r\n")
		if action.SMTPCode != 451 || !strings.HasPrefix(action.SMTPReply, "451 4.7.1 ") || len(signatures) != 0 {
			t.Errorf("%s: got %v, %d signatures", reason, action, len(signatures))
		}
		p.log.await(t, "level=ERROR", "deferred", "reason="+string(reason), "err=")
	}
	p.mustSign(m, hello, "and then a good one\r\n")

	// The same for one field that is too long by itself, and for many short ones.
	many := []string{"From: a@example.org"}
	for range 400 {
		many = append(many, "X:")
	}
	for name, fields := range map[string][]string{
		"one long field": {"From: a@example.org", "Subject: " + strings.Repeat("x", 50<<10)},
		"many fields":    many,
	} {
		m.begin(fields...)
		if signatures, action := m.end("x\r\n"); action.SMTPCode != 451 || len(signatures) != 0 {
			t.Errorf("%s: got %v, %d signatures", name, action, len(signatures))
		}
	}

	// A stranger's mail goes out unsigned anyway, so its size does not matter.
	if err := m.Reset(m.macros); err != nil {
		t.Fatal(err)
	}
	m.connect("192.0.2.1", 1025)
	m.begin("From: a@example.org", "Subject: "+strings.Repeat("x", 50<<10))
	if signatures, action := m.end("x\r\n"); action.Type != gomilter.ActionAccept || len(signatures) != 0 {
		t.Errorf("a stranger: got %v, %d signatures", action, len(signatures))
	}
}

// Mail that must be signed and never can be, for its From fields, is refused, and the
// reply says why.
func TestRefusesWhatCanNeverBeSigned(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	m := p.session()
	for reason, test := range map[Reason]struct {
		fields []string
		reply  string
	}{
		FromMultiple: {[]string{"From: a@example.org", "From : b@example.net"}, "2 From fields"},
		FromInvalid: {[]string{"From: a@must.example (100% \u00fc"},
			"from field: it has a comment without an end"},
		FromAmbiguous: {[]string{"From: m@\u00fc%.test <a@example.org>"},
			`from field can be read as from example.org and from "??.test"`},
	} {
		m.begin(test.fields...)
		signatures, action := m.end("x\r\n")
		if action.SMTPCode != 550 || !strings.HasPrefix(action.SMTPReply, "550 5.7.1 mail of ") || len(signatures) != 0 ||
			!strings.Contains(action.SMTPReply, " must be signed and cannot be: "+test.reply) {
			t.Errorf("%s: got %v, %d signatures", reason, action, len(signatures))
		}
		p.log.await(t, "level=ERROR", "refused, for it would go out unsigned", "reason="+string(reason), "err=", "hint=")
	}
	// A field begins after a CR to some programs.
	m.begin("Subject: x\rFrom: a@must.example", "From: a@other.example")
	if _, action := m.end("x\r\n"); action.SMTPCode != 550 {
		t.Errorf("after a CR: %v", action)
	}
	// What names nobody of ours passes, and a stranger's mail does.
	m.begin("From: a@other.example", "From: b@other.example")
	if _, action := m.end("x\r\n"); action.Type != gomilter.ActionAccept {
		t.Errorf("of others: %v", action)
	}
	if err := m.Reset(m.macros); err != nil {
		t.Fatal(err)
	}
	m.connect("192.0.2.1", 1025)
	m.begin("From: a@must.example", "From: b@example.org")
	if _, action := m.end("x\r\n"); action.Type != gomilter.ActionAccept {
		t.Errorf("of a stranger: %v", action)
	}
	if got := p.Counters().Messages(); got[FromMultiple] != 3 || got[FromInvalid] != 1 || got[FromAmbiguous] != 1 {
		t.Errorf("counted %v", got)
	}
	p.mustSign(p.session(), hello, "and then a good one\r\n")

	p = newPost(t, func(c *Config) { c.Rules.DeferUnsignable = true })
	m = p.session()
	m.begin("From: a@example.org", "From: b@example.net")
	if _, action := m.end("x\r\n"); action.SMTPCode != 451 || !strings.Contains(action.SMTPReply, "4.7.1 mail of example.org") {
		t.Errorf("to be deferred: %v", action)
	}
	p.log.await(t, "deferred, for it would go out unsigned", "reason=from-multiple")
}

// Sendmail, Postfix 2.x or a test tool may offer less than Postfix does today.
func TestOlderMTA(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Policy.Header, c.Policy.Body = ours.Simple, ours.Simple })
	m := p.session(gomilter.WithMaximumVersion(2), gomilter.WithActions(gomilter.OptAddHeader),
		gomilter.WithProtocols(gomilter.OptNoConnect|gomilter.OptNoHelo|gomilter.OptNoMailFrom|gomilter.OptNoRcptTo))
	m.begin("From:jane@example.org", "Subject: two spaces") // the MTA keeps the space
	signatures, _ := m.end("x\r\n")
	if len(signatures) != 1 || strings.HasPrefix(signatures[0], " ") {
		t.Fatalf("got %q", signatures)
	}
	p.verify(" "+signatures[0], []string{"From: jane@example.org", "Subject:  two spaces"}, "x\r\n")

	_, err := gomilter.NewClient("tcp", p.addr.String(), gomilter.WithActions(gomilter.OptAddRcpt)).Session(nil)
	if err == nil {
		t.Error("negotiated with an MTA that lets no header field be added")
	}
}

func TestPanicCostsOnlyItsConnection(t *testing.T) {
	t.Parallel()
	broken := atomic.Bool{}
	p := newPost(t, func(c *Config) {
		keys := c.Keys
		c.Keys = func(domain string) ([]*keystore.Key, error) {
			if broken.Load() {
				panic("a fault")
			}
			return keys(domain)
		}
	})
	other, m := p.session(), p.session()
	broken.Store(true)
	m.begin(hello...)
	if _, _, err := m.End(); err == nil {
		t.Error("the message was answered")
	}
	p.log.await(t, "level=ERROR", `panic="a fault"`, "stack=")
	broken.Store(false)
	p.mustSign(other, hello, "x\r\n")
	if got := p.Counters().Refused()["panic"]; got != 1 {
		t.Errorf("counted %d", got)
	}
}

// faulty is a key that has a fault.
type faulty struct {
	crypto.Signer
	now *atomic.Bool
}

func (f faulty) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if f.now.Load() {
		panic("a fault of the key")
	}
	return f.Signer.Sign(random, digest, opts)
}

// However many signatures panic, the others are made.
func TestPanicTakesNoProcessor(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	p := newPost(t, func(c *Config) {
		keys := c.Keys
		c.Keys = func(domain string) ([]*keystore.Key, error) {
			all, err := keys(domain)
			if err != nil {
				return nil, err
			}
			key := *all[0]
			key.Signer = faulty{key.Signer, &broken}
			return []*keystore.Key{&key}, nil
		}
	})
	other := p.session()
	broken.Store(true)
	for range cap(p.processors) {
		m := p.session()
		m.begin(hello...)
		m.must(m.BodyChunk([]byte("x")))
		if _, _, err := m.End(); err == nil {
			t.Error("the message was answered")
		}
	}
	p.log.await(t, "level=ERROR", `panic="a fault of the key"`)
	broken.Store(false)
	p.mustSign(other, hello, "x\r\n")
}

func TestPeersFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Peers = networks("10.0.0.0/8", "::1/128") })
	begin := time.Now()
	for range 5 {
		if n := p.silence(p.dial()); n != 0 {
			t.Errorf("answered with %d bytes", n)
		}
	}
	p.log.await(t, "level=WARN", "the peer is not in an allowed network", "peer=127.0.0.1:")
	most := 1 + int(time.Since(begin)/saidEvery)
	if n := strings.Count(p.log.String(), "not in an allowed network"); n > most {
		t.Errorf("it is logged %d times at once", n)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Idle = time.Second })
	m := p.session()
	p.log.await(t, "idle for too long")
	if _, err := m.Mail("<a@example.org>", ""); err == nil {
		// The library may notice only when it reads.
		_, _, err = m.End()
		if err == nil {
			t.Error("the connection is still there")
		}
	}
}
