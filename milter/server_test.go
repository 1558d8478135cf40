package milter

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
	"github.com/emersion/go-msgauth/dkim"

	"signpost/keystore"
	"signpost/keystore/rotation"
	ours "signpost/milter/dkim"
	"signpost/test/lab/testlog"
)

// journal is the log of a test.
type journal struct{ testlog.Log }

// await waits for a line of the log that has all the words.
func (j *journal) await(t testing.TB, words ...string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
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
	keys atomic.Pointer[rotation.Book]
}

// newPost serves the key of example.org, with the configuration changed as the
// test wants it.
func newPost(t testing.TB, change func(*Config)) *post {
	t.Helper()
	p := &post{TB: t, log: &journal{}}
	p.keys.Store(keysFor(t, "example.org"))
	config := Config{
		Keys:   func(domain string) ([]*keystore.Key, error) { return p.keys.Load().Signing(domain) },
		Policy: &ours.Policy{Header: ours.Relaxed, Body: ours.Relaxed},
		Rules:  Rules{Trusted: networks("127.0.0.0/8"), MustSign: map[string]bool{"must.example": true}},
		Peers:  networks("127.0.0.0/8"),
		Log:    slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	server, err := NewServer(config)
	if err != nil {
		t.Fatal(err)
	}
	p.Server = server
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
	return p.sessionFrom("127.0.0.1", options...)
}

// sessionFrom is session for an MTA at another loopback address.
func (p *post) sessionFrom(mtaAddr string, options ...gomilter.Option) *mta {
	p.Helper()
	m := p.negotiated(mtaAddr, options...)
	m.connect("127.0.0.1", 1025)
	return m
}

// negotiated is sessionFrom before the SMTP client is named.
func (p *post) negotiated(mtaAddr string, options ...gomilter.Option) *mta {
	p.Helper()
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroQueueId, "4bC3d")
	options = append([]gomilter.Option{gomilter.WithActions(gomilter.OptAddHeader | gomilter.OptSetMacros),
		gomilter.WithDialer(dialerFrom(mtaAddr))}, options...)
	session, err := gomilter.NewClient("tcp", p.addr.String(), options...).Session(macros)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { session.Close() })
	return &mta{TB: p, ClientSession: session, macros: macros}
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
	mustVerify(p, p.keys.Load(), signature, fields, body)
}

func mustVerify(t testing.TB, book *rotation.Book, signature string, fields []string, body string) {
	t.Helper()
	// The value goes into the message as it is, with the MTA's line ends.
	message := "DKIM-Signature:" + strings.ReplaceAll(signature, "\n", "\r\n") + "\r\n" +
		strings.Join(fields, "\r\n") + "\r\n\r\n" + body
	results, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			keys, _ := book.Signing(strings.SplitN(name, ".", 3)[2])
			if len(keys) == 0 {
				return nil, fmt.Errorf("no key for %s", name)
			}
			public := keys[0].Signer.Public().(ed25519.PublicKey)
			return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}, nil
		},
	})
	if err != nil || len(results) != 1 || results[0].Err != nil {
		t.Fatalf("%v, %+v for\n%q", err, results, message)
	}
}

func dialerFrom(addr string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
}

func (p *post) dial() net.Conn {
	p.Helper()
	return p.dialFrom("127.0.0.1")
}

// dialFrom connects from another loopback address.
func (p *post) dialFrom(addr string) net.Conn {
	p.Helper()
	c, err := dialerFrom(addr).Dial("tcp", p.addr.String())
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

// readReply reads one frame that the server sends.
func readReply(t testing.TB, c io.Reader) (command byte, payload []byte) {
	t.Helper()
	var size uint32
	if err := binary.Read(c, binary.BigEndian, &size); err != nil {
		t.Fatal(err)
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(c, payload); err != nil {
		t.Fatal(err)
	}
	return payload[0], payload[1:]
}
