package system

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"
)

// A stream is a steady flow of mail: several senders that each submit one
// numbered message after another, and a message that is deferred again
// and again, as a queue would.
type stream struct {
	p       *postfix
	quit    chan struct{} // closed: finish the message and stop
	abandon chan struct{} // closed: stop
	done    sync.WaitGroup

	mu       sync.Mutex
	accepted []sent
	refused  []refusal
	fatal    error
}

// A sent message was accepted by Postfix.
type sent struct {
	id, domain string
	begun      time.Time // before its last attempt
	ended      time.Time // after its answer
}

// A refusal is an attempt that failed.
type refusal struct {
	id       string
	inFlight bool // after MAIL was accepted
	err      error
}

// startStream begins a flow of mail from each of the domains in turn.
func (p *postfix) startStream(senders int, domains ...string) *stream {
	s := &stream{p: p, quit: make(chan struct{}), abandon: make(chan struct{})}
	for n := range senders {
		s.done.Go(func() { s.send(n, domains) })
	}
	p.w.t.Cleanup(func() {
		close(s.abandon)
		s.stop()
		s.done.Wait()
	})
	return s
}

// send is one sender. Its connection carries several messages.
func (s *stream) send(sender int, domains []string) {
	var c *client
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-s.quit:
			return
		default:
		}
		domain := domains[(sender+n)%len(domains)]
		id := fmt.Sprintf("stream-%d-%d", sender, n)
		if n%5 == 0 && c != nil {
			c.Close()
			c = nil
		}
		for !s.attempt(&c, id, domain) {
			select {
			case <-s.abandon:
				return
			case <-time.After(20 * time.Millisecond): // the pause of a queue, not a wait
			}
			if s.fatalError() != nil {
				return
			}
		}
	}
}

// attempt submits a message and reports whether it was accepted.
func (s *stream) attempt(c **client, id, domain string) bool {
	from, begun := "sender@"+domain, time.Now()
	var err error
	inFlight := false
	if *c == nil {
		*c, err = s.p.dial()
	}
	if err == nil {
		err = (*c).open(from, []string{"reader@rcpt.test"})
	}
	if err == nil {
		_, err = (*c).finish(letter(from, id))
		inFlight = err != nil
	} else {
		inFlight = strings.HasPrefix(err.Error(), "RCPT") || strings.HasPrefix(err.Error(), "DATA")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.accepted = append(s.accepted, sent{id, domain, begun, time.Now()})
		return true
	}
	if *c != nil {
		(*c).Close()
		*c = nil
	}
	s.refused = append(s.refused, refusal{id, inFlight, err})
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= 500 {
		s.fatal = fmt.Errorf("%s refused for good: %w", id, err)
	}
	return false
}

func (s *stream) fatalError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fatal
}

func (s *stream) counts() (accepted, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted), len(s.refused)
}

// last is the last message that was accepted.
func (s *stream) last() sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted[len(s.accepted)-1]
}

// awaitMore waits until n more messages were begun after now and accepted.
func (s *stream) awaitMore(n int) {
	s.p.w.t.Helper()
	now := time.Now()
	await(s.p.w.t, fmt.Sprintf("%d more messages to be accepted", n), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		more := 0
		for _, m := range slices.Backward(s.accepted) {
			if m.begun.After(now) {
				more++
			}
		}
		return more >= n
	})
}

// awaitRefusals waits until n more attempts were refused.
func (s *stream) awaitRefusals(n int) {
	s.p.w.t.Helper()
	_, before := s.counts()
	await(s.p.w.t, fmt.Sprintf("%d more refusals", n), func() bool {
		_, after := s.counts()
		return after >= before+n
	})
}

// end lets every sender finish its message.
func (s *stream) end() {
	s.p.w.t.Helper()
	s.stop()
	ended := make(chan struct{})
	go func() { s.done.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		s.p.w.t.Fatalf("senders do not get rid of their last message in %v", patience)
	}
	if s.fatal != nil {
		s.p.w.t.Fatal(s.fatal)
	}
}

func (s *stream) stop() {
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
}

// A received message of a stream.
type received struct {
	sent
	data []byte
}

// finish ends the stream and waits until everything that was accepted has
// arrived, each message once. It returns the messages and the refusals.
func (s *stream) finish() ([]received, []refusal) {
	t := s.p.w.t
	t.Helper()
	s.end()
	sink := s.p.w.sink
	await(t, fmt.Sprintf("%d messages to arrive", len(s.accepted)), func() bool {
		return len(sink.All()) >= len(s.accepted)
	})
	byID := make(map[string][]byte)
	for _, d := range sink.All() {
		id := subject(d.Data)
		if byID[id] != nil {
			t.Errorf("%s arrived twice", id)
		}
		byID[id] = d.Data
	}
	var all []received
	for _, m := range s.accepted {
		if byID[m.id] == nil {
			t.Fatalf("%s was accepted and did not arrive", m.id)
		}
		all = append(all, received{m, byID[m.id]})
	}
	return all, s.refused
}

// of returns the data of the messages that are from the domain.
func of(all []received, domain string) [][]byte {
	var data [][]byte
	for _, m := range all {
		if m.domain == domain {
			data = append(data, m.data)
		}
	}
	return data
}
