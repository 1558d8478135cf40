package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"time"
)

// queueID is how Postfix, and most others, name the message they took.
var queueID = regexp.MustCompile(`(?i)\bqueued as ([0-9A-Za-z.-]+)|\bid=([0-9A-Za-z.-]+)`)

// run holds the dialogue.
func (p *sending) run(ctx context.Context) *sent {
	result := &sent{Server: p.server, From: p.from, Recipients: []sentRecipient{}}
	err := p.talk(ctx, result)
	var at *stageError
	if ctx.Err() != nil && errors.As(err, &at) && at.reply == nil {
		at.err = errStopped
	}
	result.fail(err, p)
	result.Dialogue = p.dialogue.Lines
	return result
}

func (p *sending) talk(ctx context.Context, result *sent) error {
	s, err := p.open(ctx)
	if s == nil {
		return err
	}
	defer s.Close()
	result.TLS = p.tls.describe(s.tls)
	if err == nil {
		err = p.submit(s, result)
	}
	var at *stageError
	if err == nil || errors.As(err, &at) && at.reply != nil && at.reply.code != 421 {
		// All is said; what comes of QUIT does not matter.
		s.timeout = min(s.timeout, 5*time.Second)
		_, _ = s.command("QUIT", "QUIT")
	}
	return err
}

// submit logs in and hands over the message.
func (p *sending) submit(s *smtpConn, result *sent) error {
	if err := p.login(s, result); err != nil {
		return err
	}
	if err := p.envelope(s, result); err != nil {
		return err
	}
	r, err := s.data(p.message)
	if err != nil {
		return err
	}
	result.Accepted, result.Reply = true, r.String()
	if found := queueID.FindStringSubmatch(r.text()); found != nil {
		result.QueueID = found[1] + found[2]
	}
	return nil
}

// open connects and, as planned, turns to TLS.
func (p *sending) open(ctx context.Context) (*smtpConn, error) {
	if p.tls.mode == "implicit" {
		s, err := dialSMTP(ctx, p.server, p.timeout, p.dialogue, p.tls.config(p.host, false))
		if err != nil {
			return nil, err
		}
		return s, s.hello(p.helloName(s))
	}
	s, err := dialSMTP(ctx, p.server, p.timeout, p.dialogue, nil)
	if err != nil {
		return nil, err
	}
	if err := s.hello(p.helloName(s)); err != nil || p.tls.mode == "off" {
		return s, err
	}
	if !s.offers("STARTTLS") {
		if p.tls.mode == "opportunistic" || p.tls.byDefault && s.loopback() {
			return s, nil
		}
		return s, &stageError{stage: "STARTTLS", err: errNoStartTLS}
	}
	if _, err := s.must("STARTTLS", 220, "STARTTLS"); err != nil {
		return s, err
	}
	// On this host nobody is in between, and Debian's certificate of a new
	// Postfix is signed by nobody. RFC 7435: some security most of the time.
	lenient := p.tls.byDefault && s.loopback()
	if err := s.startTLS(ctx, p.tls.config(p.host, lenient)); err != nil {
		return s, err
	}
	return s, s.hello(p.helloName(s))
}

// helloName is our name for EHLO: what was asked for, or the name of this host,
// or where that is a bare word its address (RFC 5321, section 4.1.4).
func (p *sending) helloName(s *smtpConn) string {
	if p.helo != "" {
		return p.helo
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		return name
	}
	host, _, _ := net.SplitHostPort(s.conn.LocalAddr().String())
	if strings.Contains(host, ":") {
		host, _, _ = strings.Cut(host, "%")
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}

// login sends no password in clear text over a network.
func (p *sending) login(s *smtpConn, result *sent) error {
	if p.user == "" {
		return nil
	}
	if s.tls == nil && !s.loopback() {
		return &stageError{stage: "AUTH", err: errPlainText}
	}
	mechanism, ok := chooseMechanism(s.extensions["AUTH"], p.user, p.password)
	if !ok {
		if offered, any := s.extensions["AUTH"]; any {
			return &stageError{stage: "AUTH", err: fmt.Errorf("%w: it offers %q", errNoMechanism, offered)}
		}
		return &stageError{stage: "AUTH", err: errNoAuth}
	}
	if err := s.auth(mechanism); err != nil {
		return err
	}
	result.User = p.user
	return nil
}

// envelope names sender and recipients. It is an error when no recipient is
// taken; that some are not is in result.
func (p *sending) envelope(s *smtpConn, result *sent) error {
	line := "MAIL FROM:<" + p.from + ">"
	if s.offers("SIZE") {
		line += fmt.Sprintf(" SIZE=%d", len(p.message))
	}
	if eightBit(p.message) {
		if s.offers("8BITMIME") {
			line += " BODY=8BITMIME"
		} else {
			p.dialogue.say("-",
				"the message is not all ASCII and the server does not offer 8BITMIME; it goes out as it is")
		}
	}
	if p.needsSMTPUTF8 {
		if !s.offers("SMTPUTF8") {
			return &stageError{stage: "MAIL", err: errNoSMTPUTF8}
		}
		line += " SMTPUTF8"
	}
	if _, err := s.must("MAIL", 250, line); err != nil {
		return err
	}
	var last reply
	taken := 0
	for _, address := range p.to {
		r, err := s.command("RCPT", "RCPT TO:<"+address+">")
		if err != nil {
			return err
		}
		good := r.code == 250 || r.code == 251
		result.Recipients = append(result.Recipients,
			sentRecipient{Address: address, Accepted: good, Reply: r.String()})
		if good {
			taken++
			continue
		}
		last = r
		if r.code == 421 {
			return &stageError{stage: "RCPT", reply: &r}
		}
	}
	if taken == 0 {
		return &stageError{stage: "RCPT", reply: &last}
	}
	return nil
}
