package milter

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signpost/test/lab/clock"
)

// crowd is places whose connections do nothing but be there.
type crowd struct {
	*places
	t   testing.TB
	now time.Time
}

func newCrowd(t testing.TB, total, each int) *crowd {
	w := &crowd{newPlaces(total, each, time.Second), t, time.Unix(1_800_000_000, 0)}
	w.start = w.now.Add(-time.Hour)
	return w
}

func host(n int) peer {
	return peer{network: netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, byte(n >> 8), byte(n)}), 32)}
}

// come lets a connection of a peer come in, and says what happened.
func (w *crowd) come(who peer) (c *conn, came string) {
	h := w.holder(who)
	victim, why := w.room(h, w.now)
	if why != "" {
		return nil, why
	}
	came = "free"
	if victim != nil {
		came = "for " + victim.holder.String()
		w.end(victim)
	}
	c = &conn{holder: h}
	c.since.Store(int64(w.now.Sub(w.start)))
	w.give(h, c)
	return c, strings.TrimSuffix(came, "/32")
}

func (w *crowd) fill(who peer, n int) (conns []*conn) {
	for range n {
		c, came := w.come(who)
		if c == nil {
			w.t.Fatalf("%v: %s", who, came)
		}
		conns = append(conns, c)
	}
	return conns
}

func (w *crowd) mustCome(who peer, want string) {
	w.t.Helper()
	if _, came := w.come(who); came != want {
		w.t.Errorf("a connection of %v: %s, want %s", who, came, want)
	}
}

func (w *crowd) holds(who peer) int { return len(w.holder(who).conns) }

// Postfix comes when one host holds all that it may, and another the rest.
func TestFewComeBeforeMany(t *testing.T) {
	t.Parallel()
	w := newCrowd(t, 100, 0)
	greedy, second, postfix := host(1), host(2), host(3)
	w.fill(greedy, 75)
	w.mustCome(greedy, "peer-limit")
	w.fill(second, 25)
	for range 37 { // until both have as many
		w.mustCome(postfix, "for 127.0.0.1")
	}
	w.mustCome(postfix, "limit")
	w.mustCome(greedy, "limit")
	if a, b, c := w.holds(greedy), w.holds(second), w.holds(postfix); a != 38 || b != 25 || c != 37 || w.held != 100 {
		t.Errorf("they hold %d, %d and %d; in all %d", a, b, c, w.held)
	}
	// What has been idle changes hands within a peer.
	w.now = w.now.Add(w.quiet)
	w.mustCome(postfix, "for 127.0.0.3")
	w.mustCome(greedy, "for 127.0.0.1")
}

// Hundreds of hosts hold one connection each, and more come all the time. Postfix
// comes as often as it likes, once it has sent a message.
func TestManyPeers(t *testing.T) {
	t.Parallel()
	w := newCrowd(t, 300, 0)
	for n := range 300 {
		w.now = w.now.Add(time.Millisecond)
		w.fill(host(1000+n), 1)
	}
	postfix := host(1)
	if _, came := w.come(postfix); came != "limit" {
		t.Errorf("the others come and go within a moment: %s", came)
	}
	w.now = w.now.Add(w.quiet)
	first, came := w.come(postfix)
	if first == nil {
		t.Fatalf("Postfix after a moment: %s", came)
	}
	first.holder.proven.Store(1)
	for n := range 150 {
		w.now = w.now.Add(time.Millisecond)
		if c, why := w.come(postfix); c == nil {
			t.Fatalf("connection %d of Postfix: %s", n, why)
		}
		w.come(host(3000 + n)) // for another of its kind, or not at all
	}
	if n := w.holds(postfix); n != 151 {
		t.Errorf("Postfix holds %d", n)
	}
}

// What is between messages goes before what is in one, the longest idle first; what
// has just ended a message stays, for the SMTP client may have more to send.
func TestIdlestGoesFirst(t *testing.T) {
	t.Parallel()
	w := newCrowd(t, 4, 4)
	conns := w.fill(host(1), 4)
	holder := conns[0].holder
	holder.proven.Store(1)
	ago := func(c *conn, busy bool, d time.Duration) {
		c.busy.Store(busy)
		c.since.Store(int64(w.now.Add(-d).Sub(w.start)))
	}
	ago(conns[0], true, time.Hour)
	ago(conns[1], false, time.Minute)
	ago(conns[2], false, time.Hour)
	ago(conns[3], true, time.Minute)
	for _, want := range []*conn{conns[2], conns[1], conns[0], conns[3]} {
		victim, _ := w.room(holder, w.now)
		if victim != want {
			t.Fatalf("not the idlest goes: %+v", victim)
		}
		w.end(victim)
		w.fill(holder.peer, 1)
	}
	for _, c := range holder.conns {
		ago(c, true, frameTimeout-time.Second)
	}
	w.mustCome(holder.peer, "peer-limit")
}

func TestPeersAreRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	w := newCrowd(t, 10, 10)
	for n := range 2000 {
		c, _ := w.come(host(n))
		c.holder.proven.Store(int64(n + 1))
		w.end(c)
	}
	if n := len(w.holders); n > 1034 {
		t.Errorf("%d peers are remembered", n)
	}
	if w.holder(host(1999)).isNew() || !w.holder(host(1)).isNew() {
		t.Error("the latest are not those that are remembered")
	}
	for n := range 10 {
		w.fill(host(6000+n), 1)
	}
	if w.held != 10 {
		t.Errorf("%d are held", w.held)
	}
}

func TestPeer(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7":         "192.0.2.7/32",
		"::ffff:192.0.2.7":  "192.0.2.7/32",
		"2001:db8:1:2::9":   "2001:db8:1:2::/64",
		"fe80::1%eth0":      "fe80::/64",
		"2001:db8:1:2:ff::": "2001:db8:1:2::/64",
	} {
		if got := (peer{network: HostNetwork(netip.MustParseAddr(addr))}).String(); got != want {
			t.Errorf("%s is of %s, want %s", addr, got, want)
		}
	}
	if got := (peer{user: 105}).String(); got != "unix socket, user id 105" {
		t.Error(got)
	}
}

// Over real sockets: who comes late is served, whoever holds what there is.
func TestGreedyPeersGiveWay(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Connections = 8 })
	var greedy []net.Conn
	for _, addr := range []string{"127.0.0.66", "127.0.0.67"} {
		for range 4 {
			c := p.dialFrom(addr)
			_, _ = io.WriteString(c, frame('O', offer))
			readReply(t, c)
			greedy = append(greedy, c)
		}
	}
	for range 3 {
		p.mustSign(p.sessionFrom("127.0.0.1"), hello, "x\r\n")
	}
	p.silence(greedy[0])
	if got := p.Counters().Refused()["displaced"]; got != 3 {
		t.Errorf("counted %d", got)
	}
	if n := strings.Count(p.log.String(), "connection closed in favour of another"); n != 1 {
		t.Errorf("said %d times", n)
	}
	p.log.await(t, "level=WARN", "in favour of another", "peer=127.0.0.6", "new=127.0.0.1/32", "hint=")
	if open, begun := p.Sessions(); open != 8 || begun != 11 {
		t.Errorf("%d of %d are open", open, begun)
	}
}

// Peers with equal rights are refused when all places are taken.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.Connections, c.Limits.PeerConnections = 2, 1 })
	p.mu.Lock()
	p.places.quiet = time.Hour
	p.mu.Unlock()
	first, second := p.sessionFrom("127.0.0.1"), p.sessionFrom("127.0.0.2")
	for range 3 {
		if n := p.silence(p.dialFrom("127.0.0.3")); n != 0 {
			t.Errorf("a third connection was answered with %d bytes", n)
		}
	}
	for range 2 {
		if n := p.silence(p.dialFrom("127.0.0.2")); n != 0 {
			t.Errorf("a second connection was answered with %d bytes", n)
		}
	}
	for _, line := range []string{"too many connections", "the peer has as many as one may have"} {
		if n := strings.Count(p.log.String(), line); n != 1 {
			t.Errorf("%q was said %d times", line, n)
		}
	}
	p.mustSign(second, hello, "x\r\n")
	first.Close()
	p.log.await(t, "connections are accepted again")
	p.mustSign(p.sessionFrom("127.0.0.3"), hello, "x\r\n")
	if got := p.Counters().Refused(); got["limit"] != 3 || got["peer-limit"] != 2 {
		t.Errorf("counted %v", got)
	}
}

// What is idle is told by the time that passes, not by a clock that is set.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		w := newCrowd(t, 4, 4)
		w.now = time.Now()
		w.start = w.now
		w.fill(host(1), 4)
		set := clock.Set(t, w.now, by)
		w.now = set
		w.mustCome(host(1), "peer-limit")
		w.now = set.Add(w.quiet)
		w.mustCome(host(1), "for 127.0.0.1")
	}
}
