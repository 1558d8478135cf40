package system

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// A client is an SMTP connection of a submitter. It sends message bytes as
// they are given, but for dot-stuffing.
type client struct {
	*textproto.Conn
	conn net.Conn
}

// dial connects to Postfix and says EHLO.
func (p *postfix) dial() (*client, error) { return p.dialFrom("") }

// dialFrom is dial from an address of this host.
func (p *postfix) dialFrom(source string) (*client, error) {
	var dialer net.Dialer
	if source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	conn, err := dialer.Dial("tcp", p.addr)
	if err != nil {
		return nil, err
	}
	c := &client{textproto.NewConn(conn), conn}
	c.hurry()
	if _, _, err = c.ReadResponse(220); err == nil {
		_, err = c.command(250, "EHLO client.test")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// hurry sets the time for what comes next. Postfix gives a milter 30 s to
// answer, and the client must live to see the reply to that.
func (c *client) hurry() { c.conn.SetDeadline(time.Now().Add(3 * patience)) }

// command sends one line and returns the reply, which must have the code; if
// not, the error begins with the command's name, and has the reply in it as a
// *textproto.Error.
func (c *client) command(code int, format string, args ...any) (string, error) {
	name, _, _ := strings.Cut(format, " ")
	if err := c.PrintfLine(format, args...); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	_, reply, err := c.ReadResponse(code)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return reply, nil
}

// send submits one message. data has lines that end in CRLF; the last one may
// lack it. The queue id is returned.
func (c *client) send(from string, to []string, data []byte) (id string, err error) {
	if err := c.open(from, to); err != nil {
		return "", err
	}
	return c.finish(data)
}

// open begins a message, up to the 354 reply of DATA.
func (c *client) open(from string, to []string) error {
	c.hurry()
	if _, err := c.command(250, "MAIL FROM:<%s>", from); err != nil {
		return err
	}
	for _, rcpt := range to {
		if _, err := c.command(250, "RCPT TO:<%s>", rcpt); err != nil {
			return err
		}
	}
	_, err := c.command(354, "DATA")
	return err
}

// finish sends the data of a message and its end.
func (c *client) finish(data []byte) (id string, err error) {
	c.hurry()
	if _, err := c.W.Write(dotStuff(data)); err != nil {
		return "", err
	}
	end := ".\r\n"
	if !bytes.HasSuffix(data, []byte("\r\n")) {
		end = "\r\n.\r\n" // SMTP has no way to say that the last line is not ended
	}
	if _, err := io.WriteString(c.W, end); err != nil {
		return "", err
	}
	if err := c.W.Flush(); err != nil {
		return "", err
	}
	_, reply, err := c.ReadResponse(250)
	_, id, _ = strings.Cut(reply, "queued as ")
	return id, err
}

func dotStuff(data []byte) []byte {
	stuffed := bytes.ReplaceAll(data, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(stuffed, []byte(".")) {
		stuffed = append([]byte("."), stuffed...)
	}
	return stuffed
}

// submit sends one message over its own connection.
func (p *postfix) submit(from string, to []string, data []byte) (id string, err error) {
	c, err := p.dial()
	if err != nil {
		return "", err
	}
	defer c.Close()
	if id, err = c.send(from, to, data); err == nil {
		_, err = c.command(221, "QUIT")
	}
	return id, err
}

// mustSubmit sends one message, which must be accepted.
func (p *postfix) mustSubmit(from, to string, data []byte) (id string) {
	p.w.t.Helper()
	id, err := p.submit(from, []string{to}, data)
	if err != nil {
		p.w.t.Fatalf("submitting from %s: %v", from, err)
	}
	return id
}

// mustRefuse sends one message, which must be refused with the reply.
func (p *postfix) mustRefuse(from, to string, data []byte, code int, text string) {
	p.w.t.Helper()
	_, err := p.submit(from, []string{to}, data)
	var reply *textproto.Error
	if !errors.As(err, &reply) || reply.Code != code || !strings.Contains(reply.Msg, text) {
		p.w.t.Fatalf("submitting from %s: got %v, want a refusal with %d %s", from, err, code, text)
	}
}

// letter is a plain message. The id is in its Subject and its Message-ID.
func letter(from, id string) []byte {
	return lines(
		"From: Sender <"+from+">",
		"To: reader@rcpt.test",
		"Subject: "+id,
		"Date: Mon, 02 Nov 2026 10:00:00 +0000",
		"Message-ID: <"+id+"@mta.test>",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"",
		"This is "+id+".",
		"",
		"Bye.",
	)
}

// subject is what follows Subject: in the message.
func subject(message []byte) string {
	_, rest, _ := bytes.Cut(message, []byte("\nSubject: "))
	value, _, _ := bytes.Cut(rest, []byte("\r"))
	return string(value)
}

// lines joins the lines of a message and ends each with CRLF.
func lines(line ...string) []byte { return []byte(strings.Join(line, "\r\n") + "\r\n") }

// awaitDelivery waits for the message with the id from letter.
func (w *world) awaitDelivery(id string) []byte {
	w.t.Helper()
	mark := "Message-ID: <" + id + "@mta.test>"
	await(w.t, "delivery of "+id, func() bool { return len(w.sink.Find(mark)) > 0 })
	return w.sink.Find(mark)[0].Data
}
