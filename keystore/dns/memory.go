package dns

import (
	"context"
	"sync"

	"github.com/miekg/dns"
)

// memory holds the answers of a run.
type memory struct {
	mu      sync.Mutex
	calls   map[dns.Question]*call
	servers map[string]*silence
}

func newMemory() *memory {
	return &memory{calls: make(map[dns.Question]*call), servers: make(map[string]*silence)}
}

type call struct {
	done   chan struct{}
	cut    bool // who asked had no time left
	answer *Answer
	err    error
}

// mostRemembered bounds the answers: those that many domains need come up again soon
// when they are forgotten.
const mostRemembered = 8192

// call returns the call for a question, and whether somebody makes it already.
func (m *memory) call(question dns.Question) (c *call, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, known = m.calls[question]; !known {
		for old := range m.calls {
			if len(m.calls) < mostRemembered {
				break
			}
			delete(m.calls, old) // any; those who wait for it hold it
		}
		c = &call{done: make(chan struct{})}
		m.calls[question] = c
	}
	return c, known
}

func (m *memory) once(ctx context.Context, question dns.Question, ask func() (*Answer, error)) (*Answer, error) {
	c, known := m.call(question)
	if !known {
		c.answer, c.err = ask()
		if c.cut = c.err != nil && ctx.Err() != nil; c.cut { // another caller may have more time
			m.mu.Lock()
			delete(m.calls, question)
			m.mu.Unlock()
		}
		close(c.done)
		return c.answer, c.err
	}
	select {
	case <-c.done:
		if c.cut && ctx.Err() == nil {
			return m.once(ctx, question, ask)
		}
		return c.answer, c.err
	case <-ctx.Done():
		return nil, &LookupError{Name: Plain(question.Name), Type: dns.TypeToString[question.Qtype],
			Kind: Timeout, Err: context.Cause(ctx)}
	}
}
