package dns

import (
	"context"
	"sync"

	"github.com/miekg/dns"
)

// memory holds the answers of a run.
type memory struct {
	mu      sync.Mutex
	calls   map[asked]*call
	servers map[string]*silence
}

func newMemory() *memory {
	return &memory{calls: make(map[asked]*call), servers: make(map[string]*silence)}
}

// asked is a question, and what of its answer is wanted.
type asked struct {
	dns.Question
	want byte
}

// What is wanted of an answer.
const (
	records   byte = iota // an *Answer
	unchecked             // a *response that is not validated, with its signatures
	security              // a Security
)

type call struct {
	done   chan struct{}
	cut    bool // who asked had no time left
	answer any
	err    error
}

// mostRemembered bounds the answers: those that many domains need come up again soon
// when they are forgotten.
const mostRemembered = 8192

// call returns the call for a question, and whether somebody makes it already.
func (m *memory) call(question asked) (c *call, known bool) {
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

// once asks, unless that was done before. Without a memory it always does.
func once[T any](ctx context.Context, m *memory, question asked, ask func() (T, error)) (T, error) {
	if m == nil {
		return ask()
	}
	c, known := m.call(question)
	if !known {
		answer, err := ask()
		c.answer, c.err = answer, err
		if c.cut = c.err != nil && ctx.Err() != nil; c.cut { // another caller may have more time
			m.mu.Lock()
			delete(m.calls, question)
			m.mu.Unlock()
		}
		close(c.done)
		return answer, err
	}
	select {
	case <-c.done:
		if c.cut && ctx.Err() == nil {
			return once(ctx, m, question, ask)
		}
		return c.answer.(T), c.err
	case <-ctx.Done():
		var none T
		return none, &LookupError{Name: Plain(question.Name), Type: dns.TypeToString[question.Qtype],
			Kind: Timeout, Err: context.Cause(ctx)}
	}
}
