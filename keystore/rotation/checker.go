package rotation

import (
	"context"
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
// published, lazily.
const (
	firstPause  = time.Second
	longPause   = 5 * time.Minute
	lazyPause   = time.Hour
	pauseGrows  = 1.4
	askPatience = 3 * time.Second
)

const (
	// askers is how many domains are asked for at one time.
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
	dns   DNS
	limit *rate.Limiter

	mu      sync.Mutex
	urgent  map[string]*urgent
	asking  map[string]bool
	hurry   bool // ask for all again, as fast as the limit allows
	failing bool // the last answers were none
}

// urgent is a domain that is asked for soon.
type urgent struct {
	next  time.Time
	pause time.Duration
	said  map[string]dns.KeyAnswer // the last, by selector
}

// NewChecker returns a checker that has not asked yet. The book tells it of new
// keys from now on.
func NewChecker(book *Book, dns DNS) *Checker {
	c := &Checker{
		book: book, dns: dns, limit: rate.NewLimiter(rate.Limit(dns.Rate), max(int(dns.Rate), everywhere)),
		urgent: make(map[string]*urgent), asking: make(map[string]bool),
	}
	book.nudge = c.Hurry
	return c
}

// Hurry asks for the domains soon, or without any for all.
func (c *Checker) Hurry(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(names) == 0 {
		c.hurry = true
		for _, u := range c.urgent {
			u.next, u.pause = time.Now(), firstPause
		}
	}
	for _, name := range names {
		if len(c.urgent) < mostUrgent || c.urgent[name] != nil {
			c.urgent[name] = &urgent{next: time.Now().Add(firstPause), pause: firstPause}
		}
	}
}

// First asks for the domains that have several keys, of which the right one must
// sign from the first message on, and returns when that is known or ctx ends.
func (c *Checker) First(ctx context.Context) {
	var running sync.WaitGroup
	free := make(chan struct{}, 4*askers)
	snapshot := c.book.store.Snapshot()
	for _, name := range snapshot.Domains() {
		if len(snapshot.Keys(name)) < 2 || ctx.Err() != nil {
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
	c.Hurry()
	sweep := sweep{store: c.book.store}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		for _, name := range append(c.due(now), sweep.due(now, c.hurries())...) {
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
// longest first.
func (c *Checker) due(now time.Time) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, u := range c.urgent {
		if !u.next.After(now) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return c.urgent[a].next.Compare(c.urgent[b].next) })
	return names
}

// check asks for the keys of a domain, and settles when to do so again.
func (c *Checker) check(ctx context.Context, name string) {
	known := c.book.page(name)
	said := make(map[string]dns.KeyAnswer)
	answers := make([]dns.KeyAnswer, len(known.list()))
	settled, most := true, lazyPause
	for i, key := range known.list()[:len(known.marks)] {
		was := known.marks[i].Presence
		signs := slices.Contains(known.signing, key)
		answer, asked := c.ask(ctx, key, was, signs)
		if !asked || ctx.Err() != nil {
			c.book.learn(name, known.list(), answers) // what was answered in time counts
			return
		}
		c.note(answer)
		said[key.Selector], answers[i] = answer, answer
		if answer.Presence == dns.There {
			continue
		}
		if settled = false; !signs {
			most = longPause
		}
	}
	c.book.learn(name, known.list(), answers)
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.urgent[name]
	switch {
	case settled:
		delete(c.urgent, name)
	case u == nil && len(c.urgent) >= mostUrgent:
	default:
		if u == nil {
			u = &urgent{pause: firstPause}
			c.urgent[name] = u
		}
		u.said = said
		u.next = time.Now().Add(jittered(u.pause))
		u.pause = min(time.Duration(float64(u.pause)*pauseGrows), most)
	}
}

// ask asks about one key. One that is to take the place of another is asked for at
// all name servers, so that nothing in a cache holds it up, nor half of them let it
// through. Of one that signs, or was seen to be published, a cache may say that it is
// there: nothing comes of that. That it is not is believed when they all say so.
// It reports whether there was time to ask, within the bound on queries.
func (c *Checker) ask(ctx context.Context, key *keystore.Key, was dns.Presence, signs bool) (answer dns.KeyAnswer, asked bool) {
	want, err := record.ForKey(key.Signer.Public())
	if err != nil {
		return dns.KeyAnswer{Text: err.Error()}, true
	}
	name := record.Name(key.Selector, key.Domain)
	if signs || was == dns.There {
		if c.limit.Wait(ctx) != nil {
			return answer, false
		}
		answer = dns.Key(ctx, c.dns.Resolver, name, want)
		if answer.Presence == dns.There || was == dns.There && answer.Presence == dns.Unknown {
			return answer, true
		}
	}
	if c.limit.WaitN(ctx, everywhere) != nil {
		return answer, false
	}
	return c.dns.Resolver.KeyEverywhere(ctx, name, want, askPatience), true
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
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
