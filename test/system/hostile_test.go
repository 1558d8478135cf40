package system

import (
	"bytes"
	"io"
	"math/rand"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/test/lab"
)

// memoryLimitKB bounds the most memory that the daemon ever takes under attack: some 30 MB
// are usual, several times that with the race detector, and one buffer of the
// size that a hostile frame claims would be 512 MB.
const memoryLimitKB = 300 << 10

// Hostile bytes come to the daemon's port while mail flows. Mail goes on being
// signed, by the same process, in bounded memory.
func TestHostileBytesWhileMailFlows(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	s := p.startStream(2, "example.org")
	s.awaitMore(5)

	addr := w.net + ".8:8891"
	for _, hostile := range attacks() {
		assault(t, addr, hostile)
	}
	// Claims of 512 MB that are never made good, all open at once.
	var open []net.Conn
	for range 50 {
		conn := attackConn(t, addr)
		conn.Write(slow)
		open = append(open, conn)
	}
	// Connections that say nothing, or stop within a frame.
	for i := range 200 {
		conn := attackConn(t, addr)
		conn.Write(lab.Offer()[:i%len(lab.Offer())])
		open = append(open, conn)
	}
	// Thousands of quick ones, some dozens at a time.
	var quick sync.WaitGroup
	for range 25 {
		quick.Go(func() {
			for range 100 {
				if conn, err := net.Dial("tcp", addr); err == nil {
					conn.Close()
				}
			}
		})
	}
	quick.Wait()
	s.awaitMore(10)
	if kb := d.memoryKB("VmHWM"); kb > memoryLimitKB {
		t.Errorf("signpostd took %d KiB, want at most %d", kb, memoryLimitKB)
	} else {
		t.Logf("signpostd took %d KiB", kb)
	}
	for _, conn := range open {
		conn.Close()
	}
	s.awaitMore(5)
	all, refused := s.finish()
	for _, r := range refused {
		t.Errorf("%s: %v", r.id, r.err)
	}
	w.mustVerifyAll(allSignedBy(of(all, "example.org"), want))
	if n := len(d.logged("level=WARN", "connection closed")); n == 0 {
		t.Error("the log does not tell of bad peers")
	}
	if d.ended() {
		t.Error("signpostd ended")
	}
}

// after is what the bytes of a peer are that has negotiated before.
func after(frames ...[]byte) []byte { return append(lab.Offer(), bytes.Join(frames, nil)...) }

// frame is a milter frame with the true length.
func frame(command byte, payload string) []byte { return lab.AppendFrame(nil, command, payload) }

// slow is a proper beginning, and then the head of a body frame of 512 MB.
var slow = after([]byte("\x1f\xff\xff\xffBx"))

// attacks are what hostile peers send, each over a connection of its own.
func attacks() [][]byte {
	all := [][]byte{
		// No frames at all.
		{}, {0}, {0, 0, 0, 0}, bytes.Repeat([]byte{0}, 4096),
		[]byte("\x18Clocalhost\x004\x00\x19127.0.0.1\x00"),
		[]byte("\\x18Clocalhost"),
		[]byte("EHLO example.org\r\nMAIL FROM:<a@example.org>\r\n"),
		[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), // TLS
		// Lengths that lie.
		{0x20, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0x1f, 0xff, 0xff, 0xff, 'O'}, slow,
		after([]byte{0, 0, 0, 0}), after([]byte("\x00\x00\x00\x00AAAAA")), after([]byte("\x00\x00\x00\x00B")),
		after([]byte{0xff, 0xff, 0xff, 0xff, 'B'}),
		// Out of order.
		frame('E', ""), frame('B', "body"), frame('Q', ""), frame('A', ""),
		after(frame('E', "")), after(frame('B', "body"), frame('E', "")),
		after(lab.Offer(), lab.Offer()), after(frame('N', ""), frame('N', ""), frame('E', "")),
		after(frame('R', "<a@b>\x00")), after(frame('L', "From\x00 a@example.org\x00"), frame('E', "")),
		// Connect and macro frames of the wrong shape.
		after(frame('C', "")), after(frame('C', "\x00")), after(frame('C', "h\x004")),
		after(frame('C', "h\x004\x00\x19not-an-address\x00")), after(frame('C', "h\x009xx")),
		after(frame('C', "h\x006\x00\x19IPv6:::1\x00")), after(frame('C', "h\x00L\x00\x00"+strings.Repeat("/x", 9000)+"\x00")),
		after(frame('D', "")), after(frame('D', "M")), after(frame('D', "Mx")), after(frame('D', "Ma\x00")),
		after(frame('D', "M\x00\x00\x00\x00\x00")), after(frame('D', strings.Repeat("Mi\x00", 20000))),
	}
	// Every letter with nothing, without its NUL, with too many, and too long.
	for letter := range 256 {
		for _, payload := range []string{"", "x", "\x00", "\x00\x00\x00\x00", "a\x00b\x00c\x00d", strings.Repeat("y", 70000)} {
			all = append(all, after(frame(byte(letter), payload)))
		}
	}
	// Noise, with a seed so that a failure comes again.
	random := rand.New(rand.NewSource(1))
	for range 300 {
		noise := make([]byte, random.Intn(2000))
		random.Read(noise)
		all = append(all, noise, after(noise), after(frame("ABCDEHKLMNOQRTU"[random.Intn(15)], string(noise))))
	}
	return all
}

func attackConn(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("signpostd takes no connection: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// assault sends the bytes, shuts its side, and waits until the daemon has
// closed the connection.
func assault(t *testing.T, addr string, b []byte) {
	t.Helper()
	conn := attackConn(t, addr)
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(b)
	conn.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Errorf("connection stays open after %.100q", b)
	}
	conn.Close()
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// When there are too many connections, the next is deferred, the log says so, and
// mail flows again when there is room. Here all come from one address, and each has
// begun a message.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon("--max-connections=10", "--max-peer-connections=10")
	p := w.startPostfix(w.milterAddr())
	p.mustSubmit("a@example.org", "reader@rcpt.test", letter("a@example.org", "before"))
	var open []net.Conn
	for range 10 {
		conn := attackConn(t, w.net+".8:8891")
		conn.Write(after(frame('M', "<a@example.org>\x00")))
		io.ReadFull(conn, make([]byte, 5)) // of the reply to the offer
		open = append(open, conn)
	}
	await(t, "a refused connection", func() bool {
		_, err := p.submit("a@example.org", []string{"reader@rcpt.test"}, letter("a@example.org", "crowded"))
		return err != nil
	})
	if len(d.logged("the peer has as many as one may have")) != 1 {
		t.Error("log does not tell of too many connections")
	}
	for _, conn := range open {
		conn.Close()
	}
	await(t, "an accepted message", func() bool {
		_, err := p.submit("a@example.org", []string{"reader@rcpt.test"}, letter("a@example.org", "roomy"))
		return err == nil
	})
	w.awaitDelivery("roomy")
	var messages []signedMessage
	for _, m := range w.sink.All() {
		messages = append(messages, signedMessage{m.Data, []signature{want}})
	}
	w.mustVerifyAll(messages)
}
