package system

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/test/lab"
)

// A greedy peer does one thing with its connection, and makes another whenever that
// is closed.
type greedy struct {
	begin []byte        // sent at once
	drop  time.Duration // then a byte each time, if not zero
}

// attackers are peers that take what they can until the test ends.
type attackers struct {
	addr string
	quit chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]bool
	begun int // all that have sent their beginning at least once
	wants int
}

func newAttackers(t *testing.T, addr string) *attackers {
	a := &attackers{addr: addr, quit: make(chan struct{}), open: make(map[net.Conn]bool)}
	t.Cleanup(a.stop)
	return a
}

// attack opens a connection from an address, again and again.
func (a *attackers) attack(from string, what greedy) {
	a.wants++
	a.done.Go(func() {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
		for first := true; ; first = false {
			begun := time.Now()
			if conn, err := dialer.Dial("tcp", a.addr); err == nil {
				a.hold(conn, what, first)
			}
			pause := time.Duration(0) // the pace of the attack
			if time.Since(begun) < time.Second {
				pause = time.Second
			}
			select {
			case <-a.quit:
				return
			case <-time.After(pause):
			}
		}
	})
}

// hold keeps a connection until the other side closes it.
func (a *attackers) hold(conn net.Conn, what greedy, first bool) {
	a.track(conn, true)
	defer a.track(conn, false)
	defer conn.Close()
	conn.Write(what.begin)
	if first {
		a.mu.Lock()
		a.begun++
		a.mu.Unlock()
	}
	if what.drop > 0 {
		go func() {
			for err := error(nil); err == nil; {
				time.Sleep(what.drop)
				_, err = conn.Write([]byte("x"))
			}
		}()
	}
	io.Copy(io.Discard, conn)
}

func (a *attackers) track(conn net.Conn, open bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if open {
		a.open[conn] = true
	} else {
		delete(a.open, conn)
	}
	select {
	case <-a.quit:
		conn.Close()
	default:
	}
}

// allBegun reports whether every attacker has done its worst once.
func (a *attackers) allBegun() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.begun == a.wants
}

func (a *attackers) stop() {
	a.mu.Lock()
	select {
	case <-a.quit:
	default:
		close(a.quit)
	}
	for conn := range a.open {
		conn.Close()
	}
	a.mu.Unlock()
	a.done.Wait()
}

// A thousand hostile connections from allowed networks do their worst: they hold
// what they have, stall, trickle, and send headers of 7 MB. Some come from few
// addresses, some each from its own. Postfix's mail goes through, signed, and so
// does the health check, in bounded memory.
func TestGreedyPeersWhileMailFlows(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	larges, memory, most := 100, 256, 256+150
	if builtWith("-race") == "true" { // that takes several times as much, of time too
		larges, memory, most = 10, 64, 800
	}
	d := w.startDaemon("--message-time=2s", fmt.Sprintf("--max-memory=%dMiB", memory))
	addr := w.net + ".8:8891"
	message := after(frame('C', "h\x004\x04\x01127.0.0.1\x00"), frame('M', "<a@example.org>\x00"),
		frame('L', "From\x00 a@example.org\x00"))
	begins := func(more string) []byte { return append(message[:len(message):len(message)], more...) }
	large := begins(string(frame('L', "Subject\x00 "+strings.Repeat("x", 7<<20)+"\x00")))
	body := string(frame('B', strings.Repeat("x", 60_000)))
	kinds := []greedy{
		{},
		{begin: lab.Offer()},
		{begin: lab.Offer()[:7], drop: time.Second},
		{begin: message[:len(message)-40]}, // within MAIL
		{begin: message},
		{begin: begins(body[:100]), drop: time.Second},
		{begin: begins(body), drop: time.Second},
		{begin: begins(string(frame('N', "")) + body + string(frame('E', "")))},
	}
	a := newAttackers(t, addr)
	for n := range 1000 - larges {
		from := fmt.Sprintf("127.66.0.%d", 1+n%9) // a hundred each
		if n >= 450 {
			from = fmt.Sprintf("127.67.%d.%d", n/250, 1+n%250)
		}
		a.attack(from, kinds[n%len(kinds)])
	}
	for n := range larges {
		a.attack(fmt.Sprintf("127.68.0.%d", 1+n%10), greedy{begin: large})
	}
	await(t, "the attack", a.allBegun)

	p := w.startPostfix(w.milterAddr())
	start := time.Now()
	s := p.startStream(3, "example.org")
	longest := time.Duration(0)
	for time.Since(start) < 2500*time.Millisecond {
		s.awaitMore(20)
		asked := time.Now()
		w.run(lab.Programs()+"/signpost", "health", "--socket=inet:"+addr, "--keys="+w.keys, "--timeout=5s")
		longest = max(longest, time.Since(asked))
	}
	all, refused := s.finish()
	lasted := time.Since(start)
	peak, closed := d.memoryKB("VmHWM"), len(d.logged("connection closed in favour of another"))
	a.stop()

	w.mustVerifyAll(allSignedBy(of(all, "example.org"), want))
	t.Logf("sent %d, received %d, unsigned 0, bad 0, lost 0; deferred %d; longest pause %v in %v, health at most %v; peak %d KiB",
		len(all), len(w.sink.All()), len(refused), pause(all, start), lasted, longest, peak)
	if got := pause(all, start); got > patience/2 {
		t.Errorf("no mail passed for %v", got)
	}
	if peak > most<<10 {
		t.Errorf("signpostd took %d KiB, want at most %d MiB", peak, most)
	}
	if closed == 0 {
		t.Error("the log does not tell of connections that had to go")
	}
}

// pause is the longest time in which no message was accepted.
func pause(all []received, start time.Time) (longest time.Duration) {
	var ends []time.Time
	for _, m := range all {
		ends = append(ends, m.ended)
	}
	slices.SortFunc(ends, time.Time.Compare)
	for _, end := range ends {
		longest = max(longest, end.Sub(start))
		start = end
	}
	return longest
}

// Postfix sends a milter the header when it has the whole message, so a slow SMTP
// client takes nothing of --message-time.
func TestSlowClientIsNoSlowMessage(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon("--message-time=1s")
	p := w.startPostfix(w.milterAddr())
	c, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.open("a@example.org", []string{"reader@rcpt.test"}); err != nil {
		t.Fatal(err)
	}
	data := letter("a@example.org", "slow")
	for part := range slices.Chunk(data, len(data)/4+1) {
		time.Sleep(500 * time.Millisecond) // the pace of the client
		c.W.Write(part)
		c.W.Flush()
	}
	if _, err := c.finish(nil); err != nil {
		t.Fatal(err)
	}
	w.mustVerifyAll([]signedMessage{{w.awaitDelivery("slow"), []signature{want}}})
	if n := len(d.logged("took too long")); n != 0 {
		t.Errorf("%d connections were closed", n)
	}
}
