package milter

import (
	"maps"
	"sync"
)

// Counters count what happened since the start.
type Counters struct {
	mu       sync.Mutex
	messages map[Reason]int64
	closed   map[string]int64
}

func newCounters() *Counters {
	return &Counters{messages: make(map[Reason]int64), closed: make(map[string]int64)}
}

func (c *Counters) message(reason Reason) {
	c.mu.Lock()
	c.messages[reason]++
	c.mu.Unlock()
}

func (c *Counters) refused(why string) {
	c.mu.Lock()
	c.closed[why]++
	c.mu.Unlock()
}

// Messages returns the number of messages by reason.
func (c *Counters) Messages() map[Reason]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.messages)
}

// Refused returns the number of connections closed by us, by why: peer, limit,
// peer-limit, stopping, displaced, frame, negotiation, idle, slow, panic.
func (c *Counters) Refused() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.closed)
}
