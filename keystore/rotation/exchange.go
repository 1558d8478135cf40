package rotation

import (
	"context"
	"slices"
	"time"

	"signpost/keystore/finding"
)

// Exchange is a way to share findings with other nodes.
type Exchange interface {
	// Name is where they are shared, for people.
	Name() string

	// Fetch calls found with what other nodes have found since the last call, and returns
	// the names of those that live. What was found before an error counts. It may call
	// found from several goroutines, and later than it returns.
	Fetch(ctx context.Context, found func([]Finding)) (nodes []string, err error)
}

// Publisher is an Exchange that has to be given what is found here: of others, nodes take
// it by themselves.
type Publisher interface {
	Publish(ctx context.Context, news []Finding) error
}

const (
	// exchangePause is how often others are heard, and exchangeTime how long that may take.
	exchangePause = 2 * time.Second
	exchangeTime  = 5 * time.Second
)

// share is what a Checker shares through one exchange.
type share struct {
	Exchange
	checker *Checker
	last    newsMark // what was published
	failing bool
}

// Share has the checker share what it finds with other nodes, and divide the questions
// with them. It is called before First, with the name of this node.
func (c *Checker) Share(node string, exchanges ...Exchange) {
	c.fleet.self = node
	for _, e := range exchanges {
		c.shares = append(c.shares, &share{Exchange: e, checker: c})
	}
}

// run shares until ctx ends.
func (s *share) run(ctx context.Context) {
	tick := time.NewTicker(exchangePause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.once(ctx)
		}
	}
}

// once takes what others have found, and gives what was found here.
func (s *share) once(ctx context.Context) {
	timed, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	nodes, err := s.Fetch(timed, s.checker.hear)
	s.checker.fleet.saw(nodes, time.Now())
	if to, ok := s.Exchange.(Publisher); ok && err == nil {
		err = s.publish(timed, to)
	}
	switch book := s.checker.book; {
	case ctx.Err() != nil:
	case err != nil && !s.failing:
		book.log.Warn("what the DNS said is not shared with other nodes", "with", s.Name(), finding.Attr(err))
	case err == nil && s.failing:
		book.log.Info("what the DNS said is shared again", "with", s.Name())
	}
	s.failing = err != nil
}

// publish gives what was found here since the last time.
func (s *share) publish(ctx context.Context, to Publisher) error {
	news, now := s.checker.book.news.latest(s.last)
	if err := to.Publish(ctx, news); err != nil {
		return err
	}
	s.last = now
	return nil
}

// hear takes findings of other nodes, and those of one domain together.
func (c *Checker) hear(findings []Finding) {
	now := At(c.book.now())
	for len(findings) > 0 {
		domain := findings[0].Domain
		n := slices.IndexFunc(findings, func(f Finding) bool { return f.Domain != domain })
		if n < 0 {
			n = len(findings)
		}
		c.hearOf(domain, findings[:n], now)
		findings = findings[n:]
	}
}

func (c *Checker) hearOf(domain string, findings []Finding, now Moment) {
	believed := make([]Finding, 0, len(findings))
	for _, f := range findings {
		if f, ok := f.bounded(now); ok {
			believed = append(believed, f)
			continue
		}
		c.ahead.Do(func() {
			c.book.log.Warn("a finding of another node is from the future, and ignored",
				"domain", f.Domain, "selector", f.Selector, "hint", "set the clocks of all nodes right")
		})
	}
	if doubts := c.book.hear(domain, believed); len(doubts) > 0 {
		c.doubt(domain, doubts)
		return
	}
	c.heard(domain)
}
