package milter

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"signpost/milter/dkim"
)

// replay is a peer that sends the same bytes again and again, and never looks
// at the replies.
type replay struct {
	net.Conn
	begin   []byte // once
	message []byte
	left    int // messages still to begin
	rest    []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.left--
		r.rest = r.message
		if r.begin != nil {
			r.rest, r.begin = r.begin, nil
			r.left++
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r *replay) Close() error                     { return nil }
func (r *replay) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }

// wire is what Postfix sends for one message of an open connection: macros
// before every header field and chunk, and an abort after the message.
func wire(body []byte) []byte {
	var b bytes.Buffer
	macros := func(command byte) { b.WriteString(frame('D', string(command)+"i\x004bC3d\x00")) }
	b.WriteString(frame('D', "M{mail_addr}\x00a@example.org\x00{mail_host}\x00example.org\x00{mail_mailer}\x00smtp\x00"))
	b.WriteString(frame('M', "<a@example.org>\x00"))
	for _, field := range []string{
		"Received: from client.example (client.example [192.0.2.1])\n\tby mta.example (Postfix) with ESMTPS id 4bC3d\n\tfor <b@example.net>; Sun, 22 Nov 2026 16:40:42 +0000 (UTC)",
		"From: Jane Doe <a@example.org>", "To: John Doe <b@example.net>", "Subject: Your invoice for November", "Date: Sun, 22 Nov 2026 16:40:42 +0000",
		"Message-ID: <20261122164042.000001@example.org>", "MIME-Version: 1.0", "Content-Type: multipart/alternative; boundary=\"b1_0123456789\"",
		"List-Unsubscribe: <https://example.org/u/0123456789abcdef>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
		"X-Mailer: Example 1.0", "Feedback-ID: 1:2:3:example",
	} {
		name, value, _ := strings.Cut(field, ":")
		macros('L')
		b.WriteString(frame('L', name+"\x00"+value+"\x00"))
	}
	macros('N')
	b.WriteString(frame('N', ""))
	for len(body) > 0 {
		n := min(len(body), 65535)
		macros('B')
		b.WriteString(frame('B', string(body[:n])))
		body = body[n:]
	}
	macros('E')
	b.WriteString(frame('E', ""))
	b.WriteString(frame('A', ""))
	return b.Bytes()
}

// BenchmarkSession is a session from the bytes that come to those that go, with
// a log that goes nowhere, for a message that is signed with Ed25519, which
// takes little, and one that is not signed.
func BenchmarkSession(b *testing.B) {
	for _, domain := range []string{"example.org", "other.example"} {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/bytes=%d", map[bool]string{true: "signed", false: "unsigned"}[domain == "example.org"], size), func(b *testing.B) {
				keys := keysFor(b, domain)
				server, err := NewServer(Config{
					Keys: keys.Signing, Policy: &dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed},
					Rules: Rules{Trusted: networks("127.0.0.0/8")},
					Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
				})
				if err != nil {
					b.Fatal(err)
				}
				peer := &replay{begin: []byte(frame('O', offer) + frame('C', connect)), message: wire(bytes.Repeat([]byte("one line of a body, no longer than most\r\n"), size/41)), left: b.N}
				session, why := server.admit(peer)
				if session == nil {
					b.Fatal(why)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				server.serve(session)
				b.StopTimer()
				if got := server.Counters().Messages(); got[Signed]+got[NoKey] != int64(b.N) {
					b.Errorf("counted %v of %d messages", got, b.N)
				}
			})
		}
	}
}
