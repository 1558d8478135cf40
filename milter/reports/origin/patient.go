package origin

import (
	"context"
	"errors"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
)

// Anybody can send mail of very many domains, and of some whose name servers do not answer.
const (
	mostWait  = time.Minute // for all answers together
	mostNames = 2000        // that are asked for
)

// patient asks a source, which remembers, until it has waited for long enough for new answers.
type patient struct {
	dns.Source

	mu    sync.Mutex
	left  time.Duration
	names map[string]bool
}

var errEnough = errors.New("not asked: the DNS took too long, or was asked for too many names")

func (p *patient) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	p.mu.Lock()
	known := p.names[name]
	if !known && (p.left <= 0 || len(p.names) >= mostNames) {
		p.mu.Unlock()
		return nil, &dns.LookupError{Name: name, Type: miekg.TypeToString[qtype], Kind: dns.Timeout, Err: errEnough}
	}
	p.names[name] = true
	p.mu.Unlock()
	start := time.Now()
	answer, err := p.Source.Lookup(ctx, name, qtype)
	if !known {
		p.mu.Lock()
		p.left -= time.Since(start)
		p.mu.Unlock()
	}
	return answer, err
}
