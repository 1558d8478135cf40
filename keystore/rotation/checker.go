package rotation

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// DNS says how a Checker asks.
type DNS struct {
	Resolver *dns.Resolver
	Rate     float64 // queries per second, at the most
}

// How often the record of a key is asked for. A key that is not known to be
// published is asked for soon, then less and less often, down to longPause when
// it waits to take over and to lazyPause when it signs as it is; one that is
// published, lazily. Where another node asks, this one does too when it has heard no
// answer for latePause longer.
const (
	firstPause  = time.Second
	longPause   = 5 * time.Minute
	lazyPause   = time.Hour
	latePause   = 4 * time.Second
	doubtPause  = 10 * time.Second // between two questions because of what other nodes found
	pauseGrows  = 0.4              // of the time since the first question
	spread      = 0.2              // of a pause
	askPatience = 3 * time.Second
)

const (
	// askers is how many domains are asked for at one time, in the round and urgently.
	askers = 8
	// mostUrgent is how many domains are asked for more often than lazily.
	mostUrgent = 10_000
	// everywhere is about how many queries it takes to ask all name servers of a
	// zone, which have to be found first.
	everywhere = 8
)

// Checker queries the DNS in the background for the records of the keys in a book,
// and tells the book. Nothing waits for it but a start.
type Checker struct {
	book  *Book
	rate  float64
	limit *rate.Limiter

	everywhere, cached Asker

	fleet  fleet
	shares []*share
	ahead  sync.Once // that the clock of another node is ahead is logged
	sweep  sweep

	mu      sync.Mutex
	urgent  map[string]*urgent
	asking  map[string]bool
	hurry   bool // ask for all again, as fast as the limit allows
	failing bool // the last answers were none
}

// urgent is a domain that is asked for soon.
type urgent struct {
	since  time.Time // the last time
	next   time.Time
	began  time.Time                // from when on the pause grows: alike at all nodes
	said   map[string]dns.KeyAnswer // the last, by selector
	doubts map[fingerprint]Finding  // of other nodes, which are believed if the DNS does not answer here
}

// NewChecker returns a checker that has not asked yet. The book tells it of new
// keys from now on.
func NewChecker(book *Book, dns DNS) *Checker {
	c := &Checker{
		book: book, rate: dns.Rate, limit: rate.NewLimiter(rate.Limit(dns.Rate), max(int(dns.Rate), everywhere)),
		urgent: make(map[string]*urgent), asking: make(map[string]bool),
		cached: Cached(dns.Resolver), everywhere: everywhereWithin(dns.Resolver, askPatience),
	}
	c.sweep = sweep{
		book: book, domains: func() []string { return book.store.Snapshot().Domains() },
		fleet: &c.fleet, urgent: c.isUrgent, rate: dns.Rate * sweepShare,
	}
	book.nudge = c.Hurry
	return c
}

// Hurry asks for the domains soon, or without any for all.
func (c *Checker) Hurry(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if len(names) == 0 {
		c.hurry = true
		for _, u := range c.urgent {
			u.since, u.next, u.began = now, now, now
		}
	}
	for _, name := range names {
		if len(c.urgent) < mostUrgent || c.urgent[name] != nil {
			c.urgent[name] = &urgent{since: now, next: now.Add(c.wait(name, firstPause, now)), began: now}
		}
	}
}

// wait returns in what time a domain is asked for: the node whose turn it is first, and the
// others when it would have answered.
func (c *Checker) wait(name string, pause time.Duration, now time.Time) time.Duration {
	if c.fleet.owns(name, now) {
		return pause
	}
	return time.Duration(float64(pause)*(1+spread)) + latePause
}

// doubt asks for a domain at once, since another node found something that is not believed
// unless the DNS says it here, or does not answer.
func (c *Checker) doubt(name string, findings []Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.urgent[name]
	if u == nil {
		if len(c.urgent) >= mostUrgent {
			return
		}
		u = &urgent{began: time.Now()}
		c.urgent[name] = u
	}
	news := false
	for _, f := range findings {
		before := u.doubts[f.print]
		if after := f.merge(before); after != before {
			if u.doubts == nil {
				u.doubts = make(map[fingerprint]Finding)
			}
			u.doubts[f.print], news = after, true
		}
	}
	if soon := later(time.Now(), u.since.Add(doubtPause)); news && u.next.After(soon) || u.next.IsZero() {
		u.next = soon
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isUrgent reports whether a domain is asked for more often than in the round.
func (c *Checker) isUrgent(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.urgent[name] != nil
}

// First takes what other nodes have found, and asks for the domains that have several keys,
// of which the right one must sign from the first message on. It returns when that is known
// or ctx ends. What others have found gets a second: one that hangs leaves time for the DNS.
func (c *Checker) First(ctx context.Context) {
	var sharing sync.WaitGroup
	for _, s := range c.shares {
		sharing.Go(func() {
			within, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			s.once(within)
		})
	}
	sharing.Wait()
	var running sync.WaitGroup
	free := make(chan struct{}, 4*askers)
	snapshot := c.book.store.Snapshot()
	for _, name := range snapshot.Domains() {
		if Certain(snapshot.Keys(name), On) || c.book.Signs(name) && snapshot.Keys(name)[0].Shared || ctx.Err() != nil {
			continue
		}
		free <- struct{}{}
		running.Go(func() {
			c.check(ctx, name)
			<-free
		})
	}
	running.Wait()
}

// Run asks until ctx ends.
func (c *Checker) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, s := range c.shares {
		running.Go(func() { s.run(ctx) })
	}
	c.Hurry()
	// Those that are urgent do not wait for the round.
	running.Go(func() { c.ask(ctx, func(now time.Time) []string { return c.sweep.due(now, c.hurries()) }) })
	c.ask(ctx, c.due)
}

// ask asks for the domains that are due, until ctx ends.
func (c *Checker) ask(ctx context.Context, due func(now time.Time) []string) {
	var running sync.WaitGroup
	defer running.Wait()
	jobs := make(chan string)
	defer close(jobs)
	for range askers {
		running.Go(func() {
			for name := range jobs {
				c.check(ctx, name)
				c.mu.Lock()
				delete(c.asking, name)
				c.mu.Unlock()
			}
		})
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, name := range due(time.Now()) {
			if !c.begin(name) {
				continue
			}
			select {
			case jobs <- name:
			case <-ctx.Done():
				return
			}
		}
	}
}

// begin reports whether to ask for a domain, which nobody does already.
func (c *Checker) begin(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking[name] {
		return false
	}
	c.asking[name] = true
	return true
}

// hurries reports whether Hurry was called for all, once.
func (c *Checker) hurries() (hurry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hurry, c.hurry = c.hurry, false
	return hurry
}

// due returns the urgent domains whose time has come, those that have waited
// longest first, and those that may have nothing to sign with last, for whoever sends mail
// chooses them. Those that another node has asked for in the meantime are not asked for
// again.
func (c *Checker) due(now time.Time) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, u := range c.urgent {
		if !u.next.After(now) && !c.heardOf(name, At(u.since), now) {
			names = append(names, name)
		}
	}
	asks := make(map[string]int)
	for _, name := range names {
		if c.book.asks(name) {
			asks[name] = 1
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(asks[a]-asks[b], c.urgent[a].next.Compare(c.urgent[b].next))
	})
	return names
}

// heard settles when to ask again about a domain that another node has asked about.
func (c *Checker) heard(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := c.urgent[name]; u != nil {
		c.heardOf(name, At(u.since)+1, time.Now())
	}
}

// heardOf reports whether the node whose turn it is has asked about a domain that is urgent,
// and settles when to ask again: as if this one had asked. The lock is held.
func (c *Checker) heardOf(name string, since Moment, now time.Time) bool {
	p, u := c.book.shard(name).find(name), c.urgent[name]
	if len(u.doubts) > 0 || p == nil || u.since.IsZero() || c.fleet.owns(name, now) {
		return false
	}
	said := make(map[string]dns.KeyAnswer)
	for i, key := range p.list()[:len(p.marks)] {
		m := p.marks[i]
		if m.Asked < since {
			return false
		}
		said[key.Selector] = dns.KeyAnswer{Presence: m.Presence, Text: heardText(m.Presence)}
	}
	c.settle(name, p, said, now)
	return true
}

// settle settles when to ask again about a domain of which that was said just now. The
// lock is held.
func (c *Checker) settle(name string, p *page, said map[string]dns.KeyAnswer, now time.Time) {
	settled, most := true, lazyPause
	for _, key := range p.list() {
		if said[key.Selector].Presence == dns.There {
			continue
		}
		if settled = false; !slices.Contains(p.signing, key) {
			most = longPause
		}
	}
	u := c.urgent[name]
	if settled || u == nil && len(c.urgent) >= mostUrgent {
		delete(c.urgent, name)
		return
	}
	if u == nil {
		u = &urgent{began: now}
		c.urgent[name] = u
	}
	u.said, u.since, u.doubts = said, now, nil
	// Of very many that are urgent each takes its turn less often, so that half of the
	// limit is enough for all.
	crowd := time.Duration(float64(len(c.urgent)*everywhere) / (c.rate / 2) * float64(time.Second))
	pause := firstPause + time.Duration(pauseGrows*float64(now.Sub(u.began)))
	pause = c.wait(name, min(pause, max(most, crowd)), now)
	if c.fleet.owns(name, now) {
		pause = jittered(pause)
	}
	u.next = now.Add(pause)
}

// check asks for the keys of a domain, and settles when to do so again.
func (c *Checker) check(ctx context.Context, name string) {
	start, known := time.Now(), c.book.page(name)
	c.mu.Lock()
	var doubts map[fingerprint]Finding
	if u := c.urgent[name]; u != nil {
		doubts = maps.Clone(u.doubts)
	}
	c.mu.Unlock()
	said := make(map[string]dns.KeyAnswer)
	answers := make([]answer, len(known.list()))
	for i, key := range known.list()[:len(known.marks)] {
		was := known.marks[i].Presence
		var doubt *Finding
		if len(doubts) > 0 {
			if f, ok := doubts[fingerprintOf(key)]; ok {
				doubt, was = &f, dns.Unknown
				if key.Shared {
					was = dns.Missing // which a cache alone cannot say then
				}
			}
		}
		answer, asked := c.query(ctx, key, was, slices.Contains(known.signing, key) && doubt == nil)
		if !asked || ctx.Err() != nil {
			c.book.learn(name, known.list(), answers) // what was answered in time counts
			return
		}
		c.note(answer.KeyAnswer)
		if !answer.clear() && doubt != nil {
			if presence, _ := doubt.presence(); presence == dns.Missing {
				answer.heard, answer.asked = doubt, true
				answer.Presence, answer.Text = presence, heardText(presence)
			}
		}
		said[key.Selector], answers[i] = answer.KeyAnswer, answer
	}
	c.book.learn(name, known.list(), answers)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(name, known, said, time.Now())
	if u := c.urgent[name]; u != nil && u.began.After(start) {
		u.next = u.began // Hurry was called while a name server was waited for
	}
}

// query asks about one key. One that is to take the place of another is asked for at
// all name servers, so that nothing in a cache holds it up, nor half of them let it
// through. Of one that signs, or was seen to be published, a cache may say that it is
// there: nothing comes of that. That it is not is believed when they all say so.
// It reports whether there was time to ask, within the bound on queries.
func (c *Checker) query(ctx context.Context, key *keystore.Key, was dns.Presence, signs bool) (a answer, asked bool) {
	want, err := record.ForKey(key.Signer.Public())
	if err != nil {
		return answer{KeyAnswer: dns.KeyAnswer{Text: err.Error()}}, true
	}
	name := record.Name(key.Selector, key.Domain)
	if signs || was == dns.There || key.Shared {
		if c.limit.Wait(ctx) != nil {
			return a, false
		}
		a.KeyAnswer = c.cached(ctx, name, want)
		switch {
		case key.Shared && was == dns.Unknown && a.Presence != dns.There:
			return a, true // most domains that mail comes from: a name server is asked when more comes
		case key.Shared && was != dns.There:
		case a.Presence == dns.There, was == dns.There && a.Presence == dns.Unknown:
			return a, true
		}
	}
	if c.limit.WaitN(ctx, everywhere) != nil {
		return a, false
	}
	return answer{KeyAnswer: c.everywhere(ctx, name, want), everywhere: true}, true
}

// note says once that the DNS does not answer, and once that it does again.
func (c *Checker) note(answer dns.KeyAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fails := answer.Presence == dns.Unknown
	switch {
	case fails && !c.failing:
		c.book.log.Warn("the DNS cannot say whether a key is published, so the signing keys stay", "err", answer.Text)
	case !fails && c.failing:
		c.book.log.Info("the DNS answers again")
	}
	c.failing = fails
}

// Said returns what the DNS said last about the keys of a domain that is not
// settled, by selector, and when it will be asked next.
func (c *Checker) Said(name string) (said map[string]dns.KeyAnswer, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := c.urgent[name]; u != nil {
		return u.said, u.next
	}
	return nil, time.Time{}
}

// jittered keeps many that began together from staying together.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - spread + 2*spread*rand.Float64()))
}
