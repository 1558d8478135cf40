package rotation

import (
	"slices"
	"sync"

	"signpost/keystore/dns"
)

// memory is what is known of keys that have no page yet, since not all keys were read
// since the start.
type memory struct {
	mu    sync.Mutex
	marks map[fingerprint]Mark // what this node knew before; it does not change
	heard map[fingerprint]Finding
}

// mostHeard bounds the findings of others: it is far more than the keys that a node has.
const mostHeard = 1 << 20

// of returns what is known of a key, and what was heard of it, if anything.
func (m *memory) of(print fingerprint) (mark Mark, heard *Finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f, ok := m.heard[print]; ok {
		heard = &f
	}
	return m.marks[print], heard
}

// hear keeps a finding of another node.
func (m *memory) hear(f Finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, ok := m.heard[f.print]; ok {
		f = f.merge(before)
	} else if len(m.heard) >= mostHeard {
		return
	}
	m.heard[f.print] = f
}

// take adds what was heard of the keys of a page that is made.
func (p *page) take(heard []*Finding, mode Mode) {
	var doubts []int
	for i, f := range heard {
		if f == nil {
			continue
		}
		var v verdict
		if p.marks[i], v = p.marks[i].take(*f, false, false); v == doubted && p.marks[i].Presence == dns.Unknown {
			doubts = append(doubts, i)
		}
	}
	if len(doubts) == 0 {
		return
	}
	signing := choose(p.list(), p.marks, mode)
	for _, i := range doubts {
		p.marks[i], _ = p.marks[i].take(*heard[i], slices.Contains(signing, p.list()[i]), false)
	}
}

// hear takes findings of other nodes about keys of one domain. It returns those that are a
// reason to ask.
func (b *Book) hear(domain string, findings []Finding) (doubts []Finding) {
	p := b.shard(domain).find(domain)
	if p == nil {
		if before := b.remembered.Load(); before != nil {
			for _, f := range findings {
				before.hear(f)
			}
		}
		return nil
	}
	var answers []answer
	for i, key := range p.list()[:len(p.marks)] {
		print := fingerprintOf(key)
		for _, f := range findings {
			if f.print != print {
				continue
			}
			if answers != nil && answers[i].heard != nil {
				f = f.merge(*answers[i].heard)
			}
			signs := slices.Contains(p.signing, key)
			now, v := p.marks[i].take(f, signs, false)
			if v == doubted {
				doubts = append(doubts, f)
				continue
			}
			if now == p.marks[i] {
				continue
			}
			if answers == nil {
				answers = make([]answer, len(p.list()))
			}
			answers[i] = answer{heard: &f}
			answers[i].Presence, answers[i].Text = now.Presence, heardText(now.Presence)
		}
	}
	b.learn(domain, p.list(), answers)
	return doubts
}

// heardText says for people what another node found.
func heardText(presence dns.Presence) string {
	if presence == dns.There {
		return "published, as another node found"
	}
	return "not published, as another node found"
}
