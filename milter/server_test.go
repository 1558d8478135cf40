package milter

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
	"github.com/emersion/go-msgauth/dkim"

	"signpost/keystore"
	ours "signpost/milter/dkim"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// await waits for a line of the log that has all the words.
func (j *journal) await(t testing.TB, words ...string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		for line := range strings.Lines(j.String()) {
			missing := false
			for _, word := range words {
				missing = missing || !strings.Contains(line, word)
			}
			if !missing {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line with %q in the log:\n%s", words, j)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// post is a server under test.
type post struct {
	testing.TB
	*Server
	log  *journal
	addr net.Addr
	keys atomic.Pointer[keystore.Snapshot]
}

// newPost serves the key of example.org, with the configuration changed as the
// test wants it.
func newPost(t testing.TB, change func(*Config)) *post {
	t.Helper()
	p := &post{TB: t, log: &journal{}}
	p.keys.Store(keysFor(t, "example.org"))
	config := Config{
		Keys:   p.keys.Load,
		Policy: &ours.Policy{Header: ours.Relaxed, Body: ours.Relaxed},
		Rules:  Rules{Trusted: networks("127.0.0.0/8"), MustSign: map[string]bool{"must.example": true}},
		Peers:  networks("127.0.0.0/8"),
		Log:    slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	p.Server = NewServer(config)
	p.quiet = 3 * time.Second // time enough on a busy machine
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr()
	served := make(chan error, 1)
	go func() { served <- p.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return p
}

// session speaks to the server as Postfix does, from a client on the loopback
// address unless told otherwise.
func (p *post) session(options ...gomilter.Option) *mta {
	p.Helper()
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroQueueId, "4bC3d")
	options = append([]gomilter.Option{gomilter.WithActions(gomilter.OptAddHeader | gomilter.OptSetMacros)}, options...)
	session, err := gomilter.NewClient("tcp", p.addr.String(), options...).Session(macros)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { session.Close() })
	m := &mta{TB: p, ClientSession: session, macros: macros}
	m.connect("127.0.0.1", 1025)
	return m
}

type mta struct {
	testing.TB
	*gomilter.ClientSession
	macros *gomilter.MacroBag
}

func (m *mta) must(action *gomilter.Action, err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
	if action != nil && action.Type != gomilter.ActionContinue {
		m.Fatalf("got %v", action)
	}
}

func (m *mta) connect(addr string, port uint16) {
	m.Helper()
	m.must(m.Conn("client.example", gomilter.FamilyInet, port, addr))
	m.must(m.Helo("client.example"))
}

// begin sends the envelope and the header.
func (m *mta) begin(fields ...string) {
	m.Helper()
	m.must(m.Mail("<a@example.org>", ""))
	m.must(m.Rcpt("<b@example.net>", ""))
	m.must(m.DataStart())
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ":")
		m.must(m.HeaderField(name, value, nil))
	}
	m.must(m.HeaderEnd())
}

// end sends the body and returns the answer: the signatures, or the refusal.
func (m *mta) end(body string) (signatures []string, action *gomilter.Action) {
	m.Helper()
	m.must(m.BodyChunk([]byte(body)))
	changes, action, err := m.End()
	if err != nil {
		m.Fatal(err)
	}
	for _, change := range changes {
		if change.Type != gomilter.ActionInsertHeader || change.HeaderIndex != 0 || change.HeaderName != "DKIM-Signature" {
			m.Fatalf("unexpected change %v", change)
		}
		signatures = append(signatures, change.HeaderValue)
	}
	return signatures, action
}

// verify checks a signature as the receiver would.
func (p *post) verify(signature string, fields []string, body string) {
	p.Helper()
	// The value goes into the message as it is, with the MTA's line ends.
	message := "DKIM-Signature:" + strings.ReplaceAll(signature, "\n", "\r\n") + "\r\n" +
		strings.Join(fields, "\r\n") + "\r\n\r\n" + body
	results, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			keys := p.keys.Load().Keys(strings.SplitN(name, ".", 3)[2])
			if len(keys) == 0 {
				return nil, fmt.Errorf("no key for %s", name)
			}
			public := keys[0].Signer.Public().(ed25519.PublicKey)
			return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}, nil
		},
	})
	if err != nil || len(results) != 1 || results[0].Err != nil {
		p.Fatalf("%v, %+v for\n%s", err, results, message)
	}
}

// The library's own warnings are for the log of the daemon.
func TestMain(m *testing.M) {
	LibraryLog(slog.New(slog.DiscardHandler))
	m.Run()
}

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

// Mail that must be signed and cannot be is refused for now.
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
		p.log.await(t, "level=ERROR", "refused for now", "reason="+string(reason), "err=")
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
		c.Keys = func() *keystore.Snapshot {
			if broken.Load() {
				panic("a fault")
			}
			return keys()
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

func TestLimitOfConnections(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Connections = 2 })
	first, second := p.session(), p.session()
	for range 3 {
		if n := p.silence(p.dial()); n != 0 {
			t.Errorf("a third connection was answered with %d bytes", n)
		}
	}
	if n := strings.Count(p.log.String(), "too many connections"); n != 1 {
		t.Errorf("said %d times", n)
	}
	p.mustSign(second, hello, "x\r\n")
	first.Close()
	p.log.await(t, "connections are accepted again")
	p.mustSign(p.session(), hello, "x\r\n")
	if got := p.Counters().Refused()["limit"]; got != 3 {
		t.Errorf("counted %d", got)
	}
}

func TestPeersFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Peers = networks("10.0.0.0/8", "::1/128") })
	if n := p.silence(p.dial()); n != 0 {
		t.Errorf("answered with %d bytes", n)
	}
	p.log.await(t, "level=WARN", "its address is not in --allow-peers", "peer=127.0.0.1:")
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Idle = time.Second })
	m := p.session()
	p.log.await(t, "nothing came for too long")
	if _, err := m.Mail("<a@example.org>", ""); err == nil {
		// The library may notice only when it reads.
		_, _, err = m.End()
		if err == nil {
			t.Error("the connection is still there")
		}
	}
}

func (p *post) dial() net.Conn {
	p.Helper()
	c, err := net.Dial("tcp", p.addr.String())
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// silence returns how many bytes come until the server closes the connection.
func (p *post) silence(c net.Conn) int64 {
	p.Helper()
	n, err := io.Copy(io.Discard, c)
	if err, ok := err.(net.Error); ok && err.Timeout() {
		p.Fatal("the connection was not closed")
	}
	return n
}
