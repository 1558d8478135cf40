package milter

import (
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
)

// One peer gets half, the next half of what is left, and so on, and each a little; all of
// it is there again when they are done.
func TestBudgetIsShared(t *testing.T) {
	t.Parallel()
	const little = 20
	b := &budget{limit: floor * little}
	shares := make([]share, 24)
	takeAll := func(s *share) int {
		before := s.live
		for b.take(s, little/2) {
		}
		return s.live - before
	}
	for i, want := range []int{1120, 560, 280, 140, 70, 30, 20} {
		if n := takeAll(&shares[i]); n != want {
			t.Errorf("peer %d got %d, want %d", i+1, n, want)
		}
	}
	for i := 7; i < 20; i++ {
		if n := takeAll(&shares[i]); n < little {
			t.Errorf("peer %d got %d", i+1, n)
		}
	}
	if n := takeAll(&shares[2]); n != 0 {
		t.Errorf("the third got %d of what is for those that have little", n)
	}
	b.give(&shares[0], 1120)
	if n := takeAll(&shares[2]); n == 0 {
		t.Error("what the first gave back is not there")
	}
	for i := 1; i < len(shares); i++ {
		b.give(&shares[i], shares[i].live)
	}
	if b.live != 0 || shares[0].live != 0 {
		t.Errorf("%d are taken still", b.live)
	}
}

// What was given back counts until it is collected, and is collected when it is
// needed.
func TestBudgetCountsGarbage(t *testing.T) {
	t.Parallel()
	b := &budget{limit: 100}
	var other, s share
	if !b.take(&other, 10) {
		t.Fatal("no memory")
	}
	for range 10 {
		if !b.take(&s, 30) {
			t.Fatal("garbage stands in the way")
		}
		if b.live+b.given-b.collected > b.limit {
			t.Fatalf("%d live and %d of garbage", b.live, b.given-b.collected)
		}
		b.give(&s, 30)
	}
}

// heads begins a message with a From field and a long one.
func heads(size int) string {
	return frame('O', offer) + frame('C', connect) + frame('M', "<a@example.org>\x00") +
		frame('L', "From\x00 a@example.org\x00") + frame('L', "Subject\x00 "+strings.Repeat("x", size)+"\x00")
}

// Many sessions come with headers of 7 MB at once. Those for which there is
// no memory are deferred, small messages go through meanwhile, and afterwards
// there is room again.
func TestLargeHeadersShareTheMemory(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Memory = 64 << 20 })
	large := heads(7 << 20)
	const many = 40
	sessions := make([]net.Conn, many)
	var sending sync.WaitGroup
	for i := range sessions {
		sessions[i] = p.dial()
		_ = sessions[i].SetDeadline(time.Now().Add(2 * time.Minute))
		sending.Go(func() { _, _ = io.WriteString(sessions[i], large) })
	}
	sending.Wait()
	taken, limit := p.Memory()
	if limit != 64<<20 || taken == 0 || taken > limit/2 {
		t.Errorf("one peer took %d of %d", taken, limit)
	}
	for range 3 {
		p.mustSign(p.session(), hello, "a small one\r\n")
	}
	replies := map[byte]int{}
	for _, c := range sessions {
		_, _ = io.WriteString(c, frame('N', "")+frame('B', "x\r\n")+frame('E', ""))
		command := byte(replyContinue)
		var text []byte
		for command == replyContinue || command == replyInsertHeader || command == 'O' {
			command, text = readReply(t, c)
		}
		replies[command]++
		if command == replyCode && !strings.HasPrefix(string(text), "451 4.3.0 ") {
			t.Errorf("got %q", text)
		}
	}
	if replies[replyAccept] < 1 || replies[replyCode] < many/2 || replies[replyAccept]+replies[replyCode] != many {
		t.Errorf("replies: %v", replies)
	}
	if taken, _ := p.Memory(); taken != 0 {
		t.Errorf("%d bytes are taken still", taken)
	}
	messages := p.Counters().Messages()
	if messages[MemoryLimit] != int64(replies[replyCode]) || messages[Signed] != int64(replies[replyAccept]+3) {
		t.Errorf("counted %v, replied %v", messages, replies)
	}
	p.log.await(t, "level=ERROR", "deferred", "reason=memory-limit", "err=", "hint=")

	// The same connections go on, and a large header is well now.
	c := sessions[many-1]
	_, _ = io.WriteString(c, frame('A', "")+heads(7 << 20)[len(frame('O', offer)):]+frame('E', ""))
	for _, want := range []byte{replyContinue, replyInsertHeader, replyAccept} {
		if command, text := readReply(t, c); command != want {
			t.Fatalf("got %q %q, want %q", command, text, want)
		}
	}
}

// The reason is the first one: a header that is too large is not for want of memory.
func TestTooLargeStaysTooLarge(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.HeaderBytes = 1 << 20 })
	fields := slices.Concat(hello, slices.Repeat([]string{"X-Large: " + strings.Repeat("x", 400<<10)}, 4))
	m := p.session()
	m.begin(fields...)
	if _, action := m.end("x\r\n"); !strings.HasPrefix(action.SMTPReply, "451 4.7.1") {
		t.Errorf("got %v", action)
	}
	p.log.await(t, "deferred", "reason=header-too-large")
	p.mustSign(m, hello, "another\r\n")
}

// A stranger's mail goes out unsigned, whether there is memory or not.
func TestNoMemoryForStrangers(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Memory = 1 << 20 })
	m := p.session()
	if err := m.Reset(m.macros); err != nil {
		t.Fatal(err)
	}
	m.connect("192.0.2.1", 1025)
	m.begin("From: a@example.org", "Subject: "+strings.Repeat("x", 2<<20))
	if signatures, action := m.end("x\r\n"); action.Type != gomilter.ActionAccept || len(signatures) != 0 {
		t.Errorf("got %v, %d signatures", action, len(signatures))
	}
}

// A body that trickles is cut off in time; an SMTP client may be slow.
func TestSlowMessages(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Message = 500 * time.Millisecond })
	whole := frame('B', strings.Repeat("x", 1000))
	for name, begin := range map[string]string{
		"a body that trickles":       heads(10) + whole[:20],
		"a field that trickles":      heads(10) + frame('L', strings.Repeat("X", 500))[:7],
		"a large field that trickle": heads(70_000)[:60_000],
		"nothing more":               heads(10),
	} {
		c := p.dial()
		_, _ = io.WriteString(c, begin)
		go func() {
			for {
				time.Sleep(20 * time.Millisecond) // the pace of the peer
				if _, err := io.WriteString(c, "x"); err != nil || name == "nothing more" {
					return
				}
			}
		}()
		p.silence(c)
		p.log.await(t, "level=WARN", "the message took too long", "peer="+c.LocalAddr().String())
	}
	if got := p.Counters().Refused()["slow"]; got != 4 {
		t.Errorf("counted %d", got)
	}
	m := p.session()
	for range 2 {
		m.must(m.Mail("<a@example.org>", ""))
		time.Sleep(p.limits.Message + 50*time.Millisecond)
		m.must(m.Rcpt("<b@example.net>", ""))
		m.must(m.DataStart())
		m.must(m.HeaderField("From", " a@example.org", nil))
		m.must(m.HeaderEnd())
		if signatures, _ := m.end("x\r\n"); len(signatures) != 1 {
			t.Error("a slow client is not served")
		}
	}
}

// Connections that wait have no buffers, whatever they did before.
func TestIdleConnectionsAreCheap(t *testing.T) { // not parallel, it measures memory
	p := newPost(t, nil)
	const many = 400
	measure := func() (kb int) {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC() // what was in pools
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc+stats.StackInuse) >> 10
	}
	message := frame('C', connect) + string(wire([]byte(strings.Repeat("a line\r\n", 10_000))))
	before := measure()
	for range many {
		c := p.dial()
		_, _ = io.WriteString(c, frame('O', offer)+message)
		for command := byte(0); command != replyAccept; {
			command, _ = readReply(t, c)
		}
	}
	// The client's side is in it too.
	if each := (measure() - before) / many; each > 12 {
		t.Errorf("a connection takes %d KiB", each)
	} else {
		t.Logf("a connection takes %d KiB", each)
	}
}
