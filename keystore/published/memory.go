package published

import (
	"context"
	"sync"

	"github.com/miekg/dns"
)

// memory holds the answers of a run.
type memory struct {
	mu    sync.Mutex
	calls map[dns.Question]*call
}

func newMemory() *memory { return &memory{calls: make(map[dns.Question]*call)} }

type call struct {
	done   chan struct{}
	answer *Answer
	err    error
}

func (m *memory) once(ctx context.Context, question dns.Question, ask func() (*Answer, error)) (*Answer, error) {
	m.mu.Lock()
	c, known := m.calls[question]
	if !known {
		c = &call{done: make(chan struct{})}
		m.calls[question] = c
	}
	m.mu.Unlock()
	if !known {
		c.answer, c.err = ask()
		if ctx.Err() != nil { // another caller may have more time
			m.mu.Lock()
			delete(m.calls, question)
			m.mu.Unlock()
		}
		close(c.done)
		return c.answer, c.err
	}
	select {
	case <-c.done:
		return c.answer, c.err
	case <-ctx.Done():
		return nil, &LookupError{Name: plain(question.Name), Type: dns.TypeToString[question.Qtype], Kind: Timeout, Err: context.Cause(ctx)}
	}
}
