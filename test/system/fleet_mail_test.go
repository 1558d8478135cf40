package system

import (
	"errors"
	"fmt"
	"net/textproto"
	"sync"
	"time"

	"signpost/test/lab"
)

// A fleetMail is a steady flow of mail from all domains through all nodes that are up, and
// the book of it. A message that is not taken is submitted again, at another node, as a
// sender behind a load balancer would.
type fleetMail struct {
	f    *fleet
	quit chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	nodes []*node
	phase string
	begun int // messages
	byID  map[string]*posting
	fatal error

	seen    int // deliveries at the sink that arrived knows
	arrived map[string][]lab.Delivery
}

// A posting is a message on its way.
type posting struct {
	id, domain, phase string
	begun             time.Time // before its first attempt
	accepted          bool
	deferred          int // times, by a reply
	broken            int // times, by the end of the connection: a node may have taken it
}

// senders is how many messages are submitted at the same time.
const senders = 4

func newFleetMail(f *fleet) *fleetMail {
	return &fleetMail{f: f, quit: make(chan struct{}), byID: make(map[string]*posting), arrived: make(map[string][]lab.Delivery)}
}

// start begins the flow, at a number of messages a second.
func (m *fleetMail) start(rate int) {
	pace := make(chan struct{})
	m.done.Go(func() {
		defer close(pace)
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-m.quit:
				return
			case <-tick.C:
			}
			select {
			case <-m.quit:
				return
			case pace <- struct{}{}:
			}
		}
	})
	for range senders {
		m.done.Go(func() {
			s := &submitter{m: m}
			defer s.close()
			for range pace {
				s.deliver(m.post(""))
			}
		})
	}
	m.f.t.Cleanup(func() {
		m.mu.Lock()
		if m.fatal == nil {
			m.fatal = errors.New("the test is over")
		}
		m.mu.Unlock()
		m.end()
	})
}

// end lets every sender get rid of its message.
func (m *fleetMail) end() {
	m.mu.Lock()
	select {
	case <-m.quit:
	default:
		close(m.quit)
	}
	m.mu.Unlock()
	m.done.Wait()
}

// use has mail go to these nodes from now on.
func (m *fleetMail) use(nodes ...*node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = nodes
}

// enter names what happens from now on.
func (m *fleetMail) enter(phase string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = phase
	m.f.t.Logf("%s: %s", time.Now().Format("15:04:05.0"), phase)
}

// post enters a message of the domain in the book; without one, all have their turn.
func (m *fleetMail) post(domain string) *posting {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &posting{id: fmt.Sprintf("fleet-%d", m.begun), domain: domain, phase: m.phase, begun: time.Now()}
	if domain == "" {
		p.domain = m.f.domains[m.begun%len(m.f.domains)]
	}
	m.begun++
	m.byID[p.id] = p
	return p
}

// count counts the messages that are accepted and were begun in this phase, and says what
// ended the flow.
func (m *fleetMail) count(phase string) (accepted int, fatal error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.byID {
		if p.phase == phase && p.accepted {
			accepted++
		}
	}
	return accepted, m.fatal
}

// awaitMore waits until n messages of the phase are accepted.
func (m *fleetMail) awaitMore(n int) {
	m.f.t.Helper()
	var fatal error
	awaitFor(m.f.t, patience+time.Duration(n)*time.Second, fmt.Sprintf("%d messages in %q", n, m.phase), func() bool {
		var accepted int
		accepted, fatal = m.count(m.phase)
		return fatal != nil || accepted >= n
	})
	if fatal != nil {
		m.f.t.Fatal(fatal)
	}
}

// awaitArrival waits until all that was accepted so far has arrived.
func (m *fleetMail) awaitArrival() {
	m.f.t.Helper()
	await(m.f.t, "all mail to arrive", func() bool { return len(m.missing()) == 0 })
}

// missing returns the ids of messages that were accepted and have not arrived.
func (m *fleetMail) missing() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.f.sink.All()
	for _, d := range all[m.seen:] {
		id := subject(d.Data)
		m.arrived[id] = append(m.arrived[id], d)
	}
	m.seen = len(all)
	for id, p := range m.byID {
		if p.accepted && m.arrived[id] == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// delivery returns a message as it arrived; nil if it has not.
func (m *fleetMail) delivery(id string) []byte {
	m.missing()
	m.mu.Lock()
	defer m.mu.Unlock()
	if found := m.arrived[id]; found != nil {
		return found[0].Data
	}
	return nil
}

// A submitter submits one message after another.
type submitter struct {
	m    *fleetMail
	to   *node // of the connection
	conn *client
	sent int // on it
	turn int
}

func (s *submitter) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// deliver submits a message until a node takes it.
func (s *submitter) deliver(p *posting) {
	for !s.attempt(p, s.next()) {
		time.Sleep(20 * time.Millisecond) // the pause of a queue, not a wait
		s.m.mu.Lock()
		fatal := s.m.fatal
		s.m.mu.Unlock()
		if fatal != nil {
			return
		}
	}
}

// next returns the node for the next attempt.
func (s *submitter) next() *node {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.conn != nil && s.sent < 5 {
		return s.to
	}
	s.turn++
	return s.m.nodes[s.turn%len(s.m.nodes)]
}

// attempt submits a message to a node once, and reports whether it was accepted.
func (s *submitter) attempt(p *posting, to *node) bool {
	var err error
	if s.conn != nil && (s.to != to || s.sent >= 5) {
		s.close()
	}
	if s.conn == nil {
		s.to, s.sent = to, 0
		s.conn, err = to.p.dial()
	}
	if err == nil {
		s.sent++
		_, err = s.conn.send("sender@"+p.domain, []string{"reader@rcpt.test"}, letter("sender@"+p.domain, p.id))
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	var reply *textproto.Error
	switch {
	case err == nil:
		p.accepted = true
		return true
	case !errors.As(err, &reply):
		p.broken++
	case reply.Code < 500:
		p.deferred++
	default:
		s.m.fatal = fmt.Errorf("%s of %s refused for good at %s: %w", p.id, p.domain, to.p.addr, err)
	}
	s.close()
	return false
}
