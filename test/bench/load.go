package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A load is what sessions send at the same time.
type load struct {
	sessions      int
	size          int  // of a body, in bytes
	perConnection int  // messages on a connection, 0 for as many as there are
	signatures    int  // that each message must get
	mayDefer      bool // the milter, and be sent another message
	tcp           bool
	domain        func() string // of each message; nil for the one there is
}

// A generator puts a load on one milter. It keeps its frames from run to run.
type generator struct {
	load
	keys     keys
	mail     mail
	sessions []*session
}

func newGenerator(l load, k keys, network, address string) *generator {
	g := &generator{load: l, keys: k, mail: newMail(l.size)}
	if l.domain == nil {
		l.domain = func() string { return domainMark }
	}
	for i := range l.sessions {
		g.sessions = append(g.sessions, &session{
			network: network, address: address, mail: g.mail, number: i,
			perConnection: l.perConnection, domain: l.domain, signatures: l.signatures, mayDefer: l.mayDefer,
		})
	}
	return g
}

// A measurement is what one run found.
type measurement struct {
	messages int
	deferred int // beside those
	elapsed  time.Duration
	rate     float64         // messages per second
	eom      []time.Duration // from writing the end of a message to the answer, sorted
	whole    []time.Duration // from writing MAIL to the answer, sorted
	cpu      time.Duration   // of the milter, per message
	others   time.Duration   // processor time that neither the milter nor this process used
}

// run measures for that long and then verifies a sample. Whatever is missing or
// wrong is an error. usage returns the processor time of the milter so far.
func (g *generator) run(span time.Duration, usage func() (time.Duration, error)) (*measurement, error) {
	before, err := usage()
	if err != nil {
		return nil, err
	}
	others := busy() - own()
	start := time.Now()
	errs := make([]error, len(g.sessions))
	var wg sync.WaitGroup
	for i, s := range g.sessions {
		wg.Go(func() { errs[i] = s.run(start.Add(span)) })
	}
	wg.Wait()
	m := &measurement{elapsed: time.Since(start)}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	after, err := usage()
	if err != nil {
		return nil, err
	}
	m.others = busy() - own() - others - (after - before)
	var samples []sample
	for _, s := range g.sessions {
		m.messages += s.messages
		m.deferred += s.deferred
		m.eom = append(m.eom, s.eom...)
		m.whole = append(m.whole, s.whole...)
		samples = append(samples, s.samples...)
	}
	slices.SortFunc(m.eom, cmp.Compare)
	slices.SortFunc(m.whole, cmp.Compare)
	m.rate = float64(m.messages) / m.elapsed.Seconds()
	m.cpu = (after - before) / time.Duration(max(1, m.messages))
	rand.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	if err := g.keys.verifyAll(g.mail, samples); err != nil {
		return nil, fmt.Errorf("a sample of %d messages: %w", len(samples), err)
	}
	return m, nil
}
