package milter

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
)

// handsTo has what p would end go on at another server.
func handsTo(t *testing.T, next *post) func(*Config) {
	return func(config *Config) {
		config.HandOver = func(nc net.Conn, state string) error {
			// As systemd does: the descriptor goes to another process, and ours is closed.
			file, err := nc.(*net.TCPConn).File()
			if err != nil {
				return err
			}
			defer file.Close()
			again, err := net.FileConn(file)
			if err != nil {
				return err
			}
			return next.Resume(again, state)
		}
	}
}

// Sessions go on in the server after, wherever they are, and nobody is in a hurry.
func TestHandOver(t *testing.T) {
	t.Parallel()
	next := newPost(t, nil)
	p := newPost(t, handsTo(t, next))
	next.keys.Store(p.keys.Load())

	silent := p.dial()
	between, fresh, sending, queueing := p.session(), p.session(), p.negotiated("127.0.0.1"), p.session()
	p.mustSign(between, hello, "x\r\n")
	sending.connect("192.0.2.1", 1025) // signed for nothing but the login
	sending.macros.Set(gomilter.MacroAuthAuthen, "alice")
	sending.must(sending.Mail("<a@example.org>", ""))
	sending.must(sending.Rcpt("<b@example.net>", ""))
	queueing.begin(hello...)

	done := p.shutdown(time.Minute)
	p.await(3, next)
	// Its header has come, so it stays until it is signed.
	signatures, _ := queueing.end("z\r\n")
	p.verify(signatures[0], hello, "z\r\n")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := p.HandedOver(); n != 5 {
		t.Errorf("%d sessions handed over, want 5", n)
	}

	for _, m := range []*mta{between, fresh, queueing} {
		next.mustSign(m, hello, "y\r\n")
	}
	sending.must(sending.DataStart())
	sending.must(sending.HeaderField("From", " a@example.org", nil))
	sending.must(sending.HeaderEnd())
	if signatures, _ = sending.end("w\r\n"); len(signatures) != 1 {
		t.Errorf("the message that had begun got %d signatures", len(signatures))
	}
	next.log.await(t, "DKIM-Signature field added", `client="192.0.2.1 (alice)"`)
	// One that had said nothing speaks milter with the next.
	if _, err := silent.Write([]byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\x01\x00\x1f\xff\xff")); err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Read(make([]byte, 64)); err != nil {
		t.Error(err)
	}
}

// await waits until the next server has as many sessions.
func (p *post) await(sessions int, next *post) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if open, _ := next.Sessions(); open >= sessions {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("not handed over: %s", p.log)
		}
	}
}

// Busy sessions are handed over with the end of their message, not one is cut off, and
// each message is signed by one of the servers.
func TestHandOverUnderLoad(t *testing.T) {
	t.Parallel()
	last := newPost(t, nil)
	second := newPost(t, handsTo(t, last))
	first := newPost(t, handsTo(t, second))
	second.keys.Store(first.keys.Load())
	last.keys.Store(first.keys.Load())
	const sessions, messages = 8, 60
	ended := make(chan error, sessions)
	for range sessions {
		m := first.session()
		go func() { ended <- m.sendMany(messages) }()
	}
	for _, p := range []*post{first, second} {
		time.Sleep(20 * time.Millisecond)
		if err := <-p.shutdown(time.Minute); err != nil {
			t.Error(err)
		}
	}
	for range sessions {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	signed := int64(0)
	for _, p := range []*post{first, second, last} {
		signed += p.Counters().Messages()[Signed]
	}
	if signed != sessions*messages {
		t.Errorf("%d messages signed, want %d", signed, sessions*messages)
	}
	if first.HandedOver() != sessions {
		t.Errorf("%d sessions handed over, want %d", first.HandedOver(), sessions)
	}
}

// sendMany sends one message after another and never waits.
func (m *mta) sendMany(count int) error {
	for range count {
		if _, err := m.Mail("<a@example.org>", ""); err != nil {
			return err
		}
		if _, err := m.Rcpt("<b@example.net>", ""); err != nil {
			return err
		}
		if _, err := m.DataStart(); err != nil {
			return err
		}
		if _, err := m.HeaderField("From", " a@example.org", nil); err != nil {
			return err
		}
		if _, err := m.HeaderEnd(); err != nil {
			return err
		}
		if _, err := m.BodyChunk([]byte("x")); err != nil {
			return err
		}
		if changes, _, err := m.End(); err != nil {
			return err
		} else if len(changes) != 1 {
			return errors.New("not signed")
		}
	}
	return nil
}

// What cannot be handed over ends as without.
func TestHandOverFails(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(config *Config) {
		config.HandOver = func(net.Conn, string) error { return errors.New("no room") }
	})
	p.quiet = 100 * time.Millisecond
	m := p.session()
	p.mustSign(m, hello, "x\r\n")
	if err := <-p.shutdown(time.Minute); err != nil {
		t.Error(err)
	}
	p.log.await(t, "level=WARN", "cannot be handed over", "no room", "sessions=1")
	if _, err := m.Mail("<a@example.org>", ""); err == nil {
		if _, _, err = m.End(); err == nil {
			t.Error("a session goes on after the shutdown")
		}
	}
}

func TestResumeWrongState(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	for _, state := range []string{"%", "v=x", "v=6", "v=7&a=101&p=0", "v=6&a=1&c=host", "m=1", "v=1ffffffff&a=1"} {
		ours, theirs := net.Pipe()
		err := p.Resume(ours, state)
		if err == nil || !strings.Contains(err.Error(), "state of a session") {
			t.Errorf("%q: %v", state, err)
		}
		if _, err := theirs.Write([]byte("x")); err == nil {
			t.Errorf("%q: the connection is open", state)
		}
	}
	if open, _ := p.Sessions(); open != 0 {
		t.Errorf("%d places are taken", open)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// A bounce whose session is handed over before its header is one to the next server, too.
func TestStateOfANotice(t *testing.T) {
	t.Parallel()
	before := session{conn: &conn{began: true}, terms: terms{6, actAddHeader, 0},
		client: Client{Addr: netip.MustParseAddr("127.0.0.1"), Local: true, Notice: true}}
	before.conn.message = true
	after := session{conn: &conn{}}
	if err := after.restore(before.state()); err != nil || after.client != before.client {
		t.Errorf("%+v, %v", after.client, err)
	}
}

// A state is either refused or comes out as it went in, and fits a name of systemd.
func FuzzState(f *testing.F) {
	for _, seed := range []string{"", "a=101&c=192.0.2.1&p=1fffff&v=6", "a=1&c=2001%3Adb8%3A%3A1&m=1&p=0&q=4bC&u=al%3Aice&v=2", "n=x&v=6&a=101"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, state string) {
		var first, second session
		first.conn, second.conn = &conn{}, &conn{}
		if first.restore(state) != nil {
			return
		}
		kept := first.state()
		if strings.ContainsFunc(kept, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }) {
			t.Errorf("%q has what a name must not have", kept)
		}
		if err := second.restore(kept); err != nil {
			t.Fatalf("%q became %q: %v", state, kept, err)
		}
		if first.terms != second.terms || first.client != second.client || first.login != second.login ||
			first.queueID != second.queueID || first.conn.message != second.conn.message || first.began != second.began {
			t.Errorf("%q became %q", state, kept)
		}
	})
}

// A peer may reset its connection while nobody serves it.
func TestResumeReset(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	_ = client.(*net.TCPConn).SetLinger(0)
	client.Close()
	if _, err := accepted.Read(make([]byte, 1)); err == nil {
		t.Fatal("the connection is open")
	}
	file, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	again, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(again, "v=6&a=101&c=192.0.2.1"); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Error(err)
	}
	if open, _ := p.Sessions(); open != 0 {
		t.Errorf("%d places are taken", open)
	}
}
