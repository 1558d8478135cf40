package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// A scenario is what all milters are put through in turn.
type scenario struct {
	name          string
	selectors     []string // of the keys to sign with
	sessions      int
	size          int // of the body, in bytes
	perConnection int // messages, 0 for as many as there are
	tcp           bool
	andBoth       bool // and once more with both keys, so that two signatures can be compared with one
}

func scenarios() []scenario {
	rsa, ed := []string{rsaKey}, []string{ed25519Key}
	return []scenario{
		{name: "4KiB x1", selectors: rsa, sessions: 1, size: 4 << 10, perConnection: 1},
		{name: "4KiB x8", selectors: rsa, sessions: 8, size: 4 << 10, perConnection: 1, andBoth: true},
		{name: "4KiB x8 many", selectors: rsa, sessions: 8, size: 4 << 10},
		{name: "4KiB x8 TCP", selectors: rsa, sessions: 8, size: 4 << 10, perConnection: 1, tcp: true},
		{name: "4KiB x8 Ed25519", selectors: ed, sessions: 8, size: 4 << 10, perConnection: 1},
		{name: "64KiB x8", selectors: rsa, sessions: 8, size: 64 << 10, perConnection: 1},
		{name: "1MiB x8", selectors: rsa, sessions: 8, size: 1 << 20, perConnection: 1},
		{name: "10MiB x8", selectors: rsa, sessions: 8, size: 10 << 20, perConnection: 1},
	}
}

// A result is what a milter did in a scenario.
type result struct {
	rates    []float64 // messages per second, by round
	p50, p99 []float64 // of end of message, in milliseconds, by round
	max      float64
	whole    []float64 // median time of a message from MAIL to the answer, in milliseconds, by round
	cpu      []float64 // microseconds a message, by round
	peak     float64   // memory, in MiB
	others   float64   // the machine's time that went elsewhere, in percent, at most
	cannot   string    // why there is no result
}

// bench is what all parts of the benchmark share.
type bench struct {
	dir        string // in memory
	keys       keyFiles
	contenders []contender
	rounds     int
	span       time.Duration // of a measured run
	warm       time.Duration // before it
	failed     error         // of ours, at last
	scaleKeys  keys          // of the key directory made last
	scaleFiles [][]byte      // private keys of it
	folders    int
}

// folder makes a new folder.
func (b *bench) folder(name string) (string, error) {
	b.folders++
	dir := filepath.Join(b.dir, fmt.Sprintf("%s.%d", name, b.folders))
	return dir, os.MkdirAll(dir, 0o755)
}

// start runs a contender. A failure of ours fails the benchmark.
func (b *bench) start(c contender, selectors []string, tcp bool) (*process, socket, error) {
	dir, err := b.folder(c.name)
	if err != nil {
		return nil, socket{}, err
	}
	s := socket{"unix", filepath.Join(dir, "milter.sock")}
	if tcp {
		if s, err = freePort(); err != nil {
			return nil, socket{}, err
		}
	}
	p, err := c.start(dir, b.keys, selectors, s)
	if err != nil {
		return nil, s, err
	}
	if err := p.awaitSocket(s.network, s.address); err != nil {
		p.stop()
		return nil, s, err
	}
	return p, s, nil
}

// runner is a contender at work in a scenario.
type runner struct {
	contender
	process   *process
	generator *generator
	result    *result
}

// signatures is how many of those there are to make it makes.
func (c contender) signatures(keys int) int {
	if c.name == nothingName || c.name == noMilter || c.name == addingName {
		return 0
	}
	return keys
}

// bothSuffix is behind the name of a milter that signs with both keys.
const bothSuffix = "+ed25519"

// in returns who takes part in a scenario.
func (b *bench) in(sc scenario) []contender {
	list := slices.Clone(b.contenders)
	for _, c := range b.contenders {
		if sc.andBoth && c.name != nothingName {
			c.name += bothSuffix
			c.selectors = []string{rsaKey, ed25519Key}
			list = append(list, c)
		}
	}
	return list
}

// run puts all contenders through a scenario, in turns.
func (b *bench) run(sc scenario) map[string]*result {
	results := make(map[string]*result)
	var runners []*runner
	for _, c := range b.in(sc) {
		r := &runner{contender: c, result: &result{}}
		results[c.name] = r.result
		selectors := sc.selectors
		if c.selectors != nil {
			selectors = c.selectors
		}
		if c.able != nil {
			if r.result.cannot = c.able(selectors); r.result.cannot != "" {
				continue
			}
		}
		p, s, err := b.start(c, selectors, sc.tcp)
		if err != nil {
			b.fail(r, sc.name, err)
			continue
		}
		defer p.stop()
		r.process = p
		r.generator = newGenerator(load{sessions: sc.sessions, size: sc.size, perConnection: sc.perConnection,
			signatures: r.signatures(len(selectors))}, b.keys.public, s.network, s.address)
		runners = append(runners, r)
	}
	for range b.rounds {
		for _, r := range runners {
			if r.result.cannot == "" {
				if err := r.round(b.warm, b.span); err != nil {
					b.fail(r, sc.name, err)
				}
			}
		}
	}
	for _, r := range runners {
		peak, err := r.process.memory("VmHWM")
		if err != nil && r.result.cannot == "" {
			b.fail(r, sc.name, err)
		}
		r.result.peak = peak
	}
	return results
}

// round measures once.
func (r *runner) round(warm, span time.Duration) error {
	if _, err := r.generator.run(warm, r.process.cpu); err != nil {
		return err
	}
	m, err := r.generator.run(span, r.process.cpu)
	if err != nil {
		return err
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	res := r.result
	res.rates = append(res.rates, m.rate)
	res.p50 = append(res.p50, ms(quantile(m.eom, 0.5)))
	res.p99 = append(res.p99, ms(quantile(m.eom, 0.99)))
	res.max = max(res.max, ms(m.eom[len(m.eom)-1]))
	res.whole = append(res.whole, ms(quantile(m.whole, 0.5)))
	res.others = max(res.others, 100*float64(m.others)/float64(m.elapsed)/float64(runtime.NumCPU()))
	res.cpu = append(res.cpu, float64(m.cpu)/float64(time.Microsecond))
	return nil
}

// fail notes that a contender has no result. That is fatal for ours, but only
// when all others had their turn.
func (b *bench) fail(r *runner, where string, err error) {
	r.result.cannot = err.Error()
	if r.ours || r.signatures(1) == 0 {
		fmt.Fprintf(os.Stderr, "bench: error: %s, %s: %v\n", where, r.name, err)
		b.failed = fmt.Errorf("%s, %s: %w", where, r.name, err)
	}
}
