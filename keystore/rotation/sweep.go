package rotation

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"signpost/keystore/dns"
)

// sweepShare is the part of the limit on queries that the round may take: the rest is for
// what is urgent.
const sweepShare = 0.4

// staleRounds is how many rounds a node waits for the answers of another that should ask.
const staleRounds = 2

// sweep goes over the domains again and again, in rounds of lazyPause, or longer where there
// are so many that the queries would take more than their part of the limit; and once at
// first as fast as it goes. It leaves out those that other nodes ask about.
type sweep struct {
	book    *Book
	domains func() []string
	fleet   *fleet
	urgent  func(name string) bool // it is asked for anyway
	rate    float64                // queries per second

	names  []string // still to come of this round, the one that was asked longest ago first
	nodes  []string // that it is divided with
	began  time.Time
	last   time.Time
	budget float64   // queries that there is time for
	pace   float64   // queries per second of this round
	fast   time.Time // since when all are asked as fast as it goes; zero for no longer

	said atomic.Pointer[Round]
}

// Round is how the records of all keys are asked for again and again.
type Round struct {
	Length  time.Duration // in which each is asked for once; 0 before the first round
	Domains int           // that this node asks about
	Nodes   []string      // that divide the questions, this one too, in order
}

// Round returns how it is now.
func (c *Checker) Round() Round {
	if r := c.sweep.said.Load(); r != nil {
		return *r
	}
	return Round{}
}

// due returns the domains whose turn has come.
func (s *sweep) due(now time.Time, hurry bool) (due []string) {
	if s.began.IsZero() {
		s.began = now
	}
	if hurry {
		s.fast = now
	}
	if nodes := s.fleet.nodes(now); hurry || !slices.Equal(nodes, s.nodes) || len(s.names) == 0 {
		if !hurry && len(s.names) == 0 {
			s.fast = time.Time{}
		}
		s.nodes = nodes
		s.round(now)
	}
	if !s.fast.IsZero() {
		for len(s.names) > 0 && len(due) < askers {
			due = append(due, s.next())
		}
		s.last = now
		return due
	}
	// What was not used while the machine slept is not made up for.
	s.budget = min(s.budget+s.pace*now.Sub(s.last).Seconds(), max(10*s.pace, s.costOfNext()))
	s.last = now
	for len(s.names) > 0 {
		cost := s.cost(s.names[0])
		if s.budget < cost {
			break
		}
		s.budget -= cost
		if name := s.next(); !s.urgent(name) {
			due = append(due, name)
		}
	}
	return due
}

func (s *sweep) costOfNext() float64 {
	if len(s.names) == 0 {
		return 0
	}
	return s.cost(s.names[0])
}

func (s *sweep) next() string {
	name := s.names[0]
	s.names = s.names[1:]
	return name
}

// round begins a round: with what this node has to ask, that which was asked longest ago
// first. So one that begins anew because nodes come or go leaves nothing out.
func (s *sweep) round(now time.Time) {
	type turn struct {
		name  string
		asked Moment
	}
	var turns []turn
	cost := 0.0
	stale := now.Add(-staleRounds * s.roundLength())
	for _, name := range s.domains() {
		asked := s.asked(name)
		if len(s.nodes) > 1 && owner(name, s.nodes) != s.fleet.self &&
			!(asked.Time().Before(stale) && s.began.Before(stale)) {
			continue
		}
		if !s.fast.IsZero() && asked > At(s.fast) {
			continue // this time already
		}
		cost += s.cost(name)
		turns = append(turns, turn{name, asked})
	}
	rand.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.asked, b.asked) })
	s.names = make([]string, len(turns))
	for i, turn := range turns {
		s.names[i] = turn.name
	}
	length := max(lazyPause, time.Duration(cost/s.rate*float64(time.Second)))
	said := &Round{Length: length, Domains: len(turns), Nodes: s.nodes}
	if !s.fast.IsZero() {
		said.Length = 0
	}
	s.said.Store(said)
	s.pace, s.last = cost/length.Seconds(), now
}

// roundLength returns how long a round takes.
func (s *sweep) roundLength() time.Duration {
	if r := s.said.Load(); r != nil {
		return max(lazyPause, r.Length)
	}
	return lazyPause
}

// asked returns when the DNS last answered clearly about all keys of a domain, here or at
// another node; None where it never did, or the keys were not read yet.
func (s *sweep) asked(name string) Moment {
	p := s.book.shard(name).find(name)
	if p == nil || len(p.marks) == 0 {
		return None
	}
	asked := p.marks[0].Asked
	for _, m := range p.marks[1:] {
		asked = min(asked, m.Asked)
	}
	return asked
}

// cost returns about how many queries a domain takes.
func (s *sweep) cost(name string) (n float64) {
	p := s.book.shard(name).find(name)
	if p == nil {
		return 1
	}
	for i, m := range p.marks {
		switch {
		case m.Presence == dns.There:
			n++
		case slices.Contains(p.signing, p.list()[i]):
			n += 1 + everywhere
		default:
			n += everywhere
		}
	}
	return max(n, 1)
}
