package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// smtpConn speaks SMTP (RFC 5321) a line at a time, so that each can be shown.
// The libraries do not do for this. Before STARTTLS go-smtp says EHLO localhost
// whatever its name is, and cannot go on in clear text where STARTTLS is not
// offered; it does not return the replies to RCPT; its debug output does not tell
// the two sides apart and has the password in it. net/textproto takes no reply of
// a bare code, and changes lone LFs in the message.
type smtpConn struct {
	conn       net.Conn
	in         *bufio.Reader
	dialogue   *dialogue
	timeout    time.Duration // for each answer
	extensions map[string]string
	tls        *tls.ConnectionState
}

// dialSMTP connects, and reads the greeting. With implicit set TLS comes first.
func dialSMTP(ctx context.Context, address string, timeout time.Duration, d *dialogue,
	implicit *tls.Config) (*smtpConn, error) {
	d.say("-", "connecting to %s", address)
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &stageError{stage: "connect", err: err}
	}
	s := &smtpConn{dialogue: d, timeout: timeout, extensions: make(map[string]string)}
	s.use(conn)
	context.AfterFunc(ctx, func() { conn.Close() })
	d.say("-", "connected to %s", conn.RemoteAddr())
	if implicit != nil {
		if err := s.startTLS(ctx, implicit); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if err := s.expect("greeting", 220); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *smtpConn) use(conn net.Conn) {
	s.conn, s.in = conn, bufio.NewReaderSize(conn, maxReplyLine)
}

func (s *smtpConn) Close() error { return s.conn.Close() }

// loopback reports whether the server is on this host.
func (s *smtpConn) loopback() bool {
	addr, ok := s.conn.RemoteAddr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// expect reads a reply that must have the code.
func (s *smtpConn) expect(stage string, code int) error {
	r, err := s.read()
	if err != nil {
		return &stageError{stage: stage, err: err}
	}
	if r.code != code {
		return &stageError{stage: stage, reply: &r}
	}
	return nil
}

// send writes a line, and shows what is to be seen of it.
func (s *smtpConn) send(line, shown string) error {
	s.dialogue.say("C", "%s", shown)
	_ = s.conn.SetDeadline(time.Now().Add(s.timeout))
	_, err := s.conn.Write([]byte(line + "\r\n"))
	return err
}

// command sends a line and returns the reply, whatever its code.
func (s *smtpConn) command(stage, line string) (reply, error) {
	if err := s.send(line, line); err != nil {
		// What the server said before it closed is worth more than that it did.
		if r, readErr := s.read(); readErr == nil {
			return r, nil
		}
		return reply{}, &stageError{stage: stage, err: err}
	}
	r, err := s.read()
	if err != nil {
		return r, &stageError{stage: stage, err: err}
	}
	return r, nil
}

// must is command for one code.
func (s *smtpConn) must(stage string, code int, line string) (reply, error) {
	r, err := s.command(stage, line)
	if err == nil && r.code != code {
		err = &stageError{stage: stage, reply: &r}
	}
	return r, err
}

// hello says who we are, and learns what the server offers. One that knows no
// EHLO gets HELO.
func (s *smtpConn) hello(name string) error {
	clear(s.extensions)
	r, err := s.command("EHLO", "EHLO "+name)
	if err != nil {
		return err
	}
	if r.code == 500 || r.code == 502 {
		_, err = s.must("HELO", 250, "HELO "+name)
		return err
	}
	if r.code != 250 {
		return &stageError{stage: "EHLO", reply: &r}
	}
	for _, line := range r.lines[1:] {
		keyword, parameters, _ := strings.Cut(line, " ")
		s.extensions[strings.ToUpper(keyword)] = parameters
	}
	return nil
}

func (s *smtpConn) offers(extension string) bool {
	_, ok := s.extensions[extension]
	return ok
}

// startTLS turns to TLS on the connection as it is.
func (s *smtpConn) startTLS(ctx context.Context, config *tls.Config) error {
	// What came in clear after the reply to STARTTLS is somebody else's.
	if s.in.Buffered() > 0 {
		return &stageError{stage: "TLS",
			err: errors.New("the server sent something in clear text after its reply to STARTTLS")}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn := tls.Client(s.conn, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return &stageError{stage: "TLS", err: err}
	}
	state := conn.ConnectionState()
	s.tls = &state
	s.use(conn)
	checked := "certificate good"
	if config.InsecureSkipVerify {
		checked = "certificate not checked"
	}
	s.dialogue.say("-", "%s, %s, %s for %s", tls.VersionName(state.Version),
		tls.CipherSuiteName(state.CipherSuite), checked, certificateNames(state.PeerCertificates[0]))
	return nil
}

// maxChallenges is more than the mechanisms need.
const maxChallenges = 4

// auth logs in with a mechanism of go-sasl. Nothing of what it says is shown.
func (s *smtpConn) auth(client sasl.Client) error {
	mechanism, initial, err := client.Start()
	if err != nil {
		return &stageError{stage: "AUTH", err: err}
	}
	line, shown := "AUTH "+mechanism, "AUTH "+mechanism
	if initial != nil {
		line, shown = line+" "+encodeSASL(initial), shown+" "+hidden
	}
	for range maxChallenges {
		if err := s.send(line, shown); err != nil {
			return &stageError{stage: "AUTH", err: err}
		}
		r, err := s.read()
		if err != nil {
			return &stageError{stage: "AUTH", err: err}
		}
		if r.code == 235 {
			return nil
		}
		if r.code != 334 {
			return &stageError{stage: "AUTH", reply: &r}
		}
		challenge, err := decodeSASL(r.text())
		if err == nil {
			initial, err = client.Next(challenge)
		}
		if err != nil {
			// RFC 4954, section 4: "*" gives up.
			_, _ = s.command("AUTH", "*")
			return &stageError{stage: "AUTH", err: err}
		}
		line, shown = encodeSASL(initial), hidden
	}
	return &stageError{stage: "AUTH", err: errors.New("the server asks for more than any way to log in has to say")}
}

// data sends the message, whose lines end in CRLF, with dots stuffed (RFC 5321,
// section 4.5.2), and returns the last reply.
func (s *smtpConn) data(message []byte) (reply, error) {
	if _, err := s.must("DATA", 354, "DATA"); err != nil {
		return reply{}, err
	}
	var stuffed bytes.Buffer
	lines := 0
	for line := range bytes.Lines(message) {
		if line[0] == '.' {
			stuffed.WriteByte('.')
		}
		stuffed.Write(line)
		lines++
	}
	if !bytes.HasSuffix(message, []byte("\r\n")) {
		stuffed.WriteString("\r\n")
	}
	s.dialogue.say("C", "(the message: %d lines, %d bytes)", lines, len(message))
	_ = s.conn.SetDeadline(time.Now().Add(s.timeout))
	if _, err := s.conn.Write(stuffed.Bytes()); err != nil {
		if r, readErr := s.read(); readErr == nil {
			return r, &stageError{stage: "message", reply: &r}
		}
		return reply{}, &stageError{stage: "message", err: err}
	}
	return s.must("message", 250, ".")
}
