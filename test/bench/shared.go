package main

import (
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A storeUser is a milter whose keys are in a store that others use too.
type storeUser struct {
	name  string
	redis bool // has them there, and not in a directory
	start func(dir string, s socket) (*process, error)
}

// A shared is what a milter does with keys from a store.
type shared struct {
	first    []float64 // from the start to the first signature, in milliseconds, by round
	commands []float64 // of the store before that, by round
	said     string    // which
	rates    map[string]*result
	deferred int       // messages of the first load
	each     []float64 // commands for a message of a random domain, by round
	idle     float64   // resident memory when nothing has happened but the first signature, in MiB
	loaded   float64   // after the loads
	peak     float64   // at any time
}

// loads of a store user: each domain for the first time since the start, the same one again
// and again, and a random one.
var sharedLoads = []string{"first use", "repeated", "random"}

// sharedStores measures all users with each number of domains.
func (b *bench) sharedStores(o options, w io.Writer) error {
	numbers, err := o.numbers()
	if err != nil {
		return err
	}
	for _, domains := range numbers {
		fmt.Fprintf(os.Stderr, "bench: %d domains in Redis\n", domains)
		users, results, err := b.sharedStore(o, domains)
		if err != nil {
			return fmt.Errorf("%d domains in Redis: %w", domains, err)
		}
		printShared(w, domains, users, results)
	}
	return nil
}

// sharedStore measures all users with a number of domains, in turns.
func (b *bench) sharedStore(o options, domains int) ([]storeUser, []*shared, error) {
	keys, err := b.keyDirectory(domains, flat)
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(keys)
	store, err := startRedis(b.dir)
	if err != nil {
		return nil, nil, err
	}
	defer store.stop()
	if err := store.fill(domains, b.scaleFiles); err != nil {
		return nil, nil, err
	}
	users := storeUsers(o, keys, store.address)
	var results []*shared
	for range users {
		results = append(results, &shared{rates: make(map[string]*result)})
	}
	for i, u := range users {
		if err := b.idleUser(u, store, results[i], domains); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", u.name, err)
		}
	}
	for range b.rounds {
		for i, u := range users {
			if err := b.sharedRound(u, store, results[i], domains); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", u.name, err)
			}
		}
	}
	return users, results, nil
}

// storeUsers are those that are compared: signpostd and rspamd on one Redis, and signpostd
// on a directory.
func storeUsers(o options, keys, address string) []storeUser {
	name, program, _ := strings.Cut(strings.Split(o.daemons, ",")[0], "=")
	const seldom = "--rescan=1h" // for with very many keys in a directory it is never quiet else
	return []storeUser{
		{name: name + ", Redis", redis: true, start: func(dir string, s socket) (*process, error) {
			return startSignpostd(filepath.Join(dir, "log"), program, "redis://"+address+"/0?layout=rspamd", s, seldom)
		}},
		{name: "rspamd, Redis", redis: true, start: func(dir string, s socket) (*process, error) {
			return startRspamd(dir, s, `use_redis = true; key_prefix = "`+redisHash+`"; selector = "`+flatSelector+
				`"; redis { servers = "`+address+`"; }`)
		}},
		{name: name + ", directory", start: func(dir string, s socket) (*process, error) {
			return startSignpostd(filepath.Join(dir, "log"), program, keys, s, "--selector="+flatSelector, seldom)
		}},
	}
}

// startUser starts a user and waits for its first signature.
func (b *bench) startUser(u storeUser, store *redis, domains int) (p *process, s socket, first time.Duration, err error) {
	dir, err := b.folder("user")
	if err != nil {
		return nil, s, 0, err
	}
	s = socket{"unix", filepath.Join(dir, "milter.sock")}
	if err := store.reset(); err != nil {
		return nil, s, 0, err
	}
	if p, err = u.start(dir, s); err != nil {
		return nil, s, 0, err
	}
	if first, err = b.awaitSignature(p, s, domains-1, p.started); err != nil {
		p.stop()
		return nil, s, 0, err
	}
	return p, s, first, nil
}

// idleUser measures the memory of a user that has nothing to do.
func (b *bench) idleUser(u storeUser, store *redis, res *shared, domains int) error {
	p, _, _, err := b.startUser(u, store, domains)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.awaitQuiet(); err != nil {
		return err
	}
	res.idle, err = p.memory("VmRSS")
	return err
}

// sharedRound measures once, from a start on.
func (b *bench) sharedRound(u storeUser, store *redis, res *shared, domains int) error {
	p, s, first, err := b.startUser(u, store, domains)
	if err != nil {
		return err
	}
	defer p.stop()
	calls, total, err := store.calls()
	if err != nil {
		return err
	}
	res.first = append(res.first, float64(first)/float64(time.Millisecond))
	if u.redis {
		res.commands, res.said = append(res.commands, float64(total)), saidCalls(calls)
	}
	for _, which := range sharedLoads {
		if err := b.sharedLoad(which, p, s, store, u, res, domains); err != nil {
			return fmt.Errorf("%s: %w", which, err)
		}
	}
	loaded, err := p.memory("VmRSS")
	if err != nil {
		return err
	}
	peak, err := p.memory("VmHWM")
	res.loaded, res.peak = max(res.loaded, loaded), max(res.peak, peak)
	return err
}

// sharedLoad measures one load.
func (b *bench) sharedLoad(which string, p *process, s socket, store *redis, u storeUser, res *shared, domains int) error {
	const sessions = 8
	if which == "first use" && domains < 1000 {
		return nil // it was used for the first signature
	}
	span := b.span / 2
	next := make(chan int, domains)
	number := func() int { return 0 }
	switch which {
	case "first use":
		// As many as there are, and no more.
		for n := range min(domains-1, 50_000) {
			next <- n
		}
		close(next)
		number = func() int { return <-next }
		span = min(span, time.Duration(domains)*time.Millisecond/4)
	case "random":
		number = func() int { return mathrand.IntN(domains) }
	}
	g := newGenerator(load{sessions: sessions, size: 4 << 10, perConnection: 1, signatures: 1,
		mayDefer: which == "first use", domain: func() string { return domain(number()) }}, b.scaleKeys, s.network, s.address)
	if which != "first use" {
		if _, err := g.run(b.warm, p.cpu); err != nil {
			return err
		}
	}
	if err := store.reset(); err != nil {
		return err
	}
	m, err := g.run(span, p.cpu)
	if err != nil {
		return err
	}
	if which == "random" && u.redis {
		_, total, err := store.calls()
		if err != nil {
			return err
		}
		res.each = append(res.each, float64(total)/float64(m.messages))
	}
	res.deferred += m.deferred
	if res.rates[which] == nil {
		res.rates[which] = new(result)
	}
	res.rates[which].rates = append(res.rates[which].rates, m.rate)
	return nil
}

// saidCalls lists commands, as "2 hscan, 1 hget".
func saidCalls(calls map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		list = append(list, fmt.Sprintf("%d %s", calls[name], name))
	}
	return strings.Join(list, ", ")
}

// printShared prints what was measured with a number of domains.
func printShared(w io.Writer, domains int, users []storeUser, results []*shared) {
	fmt.Fprintf(w, "## %d domains, keys in Redis (RSA-2048, 4 KiB, 8 sessions, DNS not asked)\n\n", domains)
	t := table{head: []string{""}}
	for _, u := range users {
		t.head = append(t.head, u.name)
	}
	ratios := "messages/s, " + users[0].name + " / " + users[1].name
	t.head = append(t.head, ratios)
	row := func(what string, value func(*shared) string, ratio string) {
		cells := []string{what}
		for _, r := range results {
			cells = append(cells, value(r))
		}
		t.add(append(cells, ratio)...)
	}
	of := func(values []float64) string {
		if len(values) == 0 {
			return "-"
		}
		return number(median(values))
	}
	row("first signature after start, ms", func(r *shared) string { return of(r.first) }, "")
	row("commands of the store before it", func(r *shared) string { return of(r.commands) }, "")
	for _, which := range sharedLoads {
		row("messages/s, "+which, func(r *shared) string {
			if r.rates[which] == nil {
				return "-"
			}
			return of(r.rates[which].rates)
		}, times(ratio(results[0].rates[which], results[1].rates[which])))
	}
	row("commands for a message of a random domain", func(r *shared) string { return of(r.each) }, "")
	row("memory, idle, MiB", func(r *shared) string { return number(r.idle) }, "")
	row("memory, after a load, MiB", func(r *shared) string { return number(r.loaded) }, "")
	row("memory, at its peak, MiB", func(r *shared) string { return number(r.peak) }, "")
	t.print(w)
	var notes []string
	for i, u := range users {
		if n := results[i].deferred; n > 0 {
			notes = append(notes, fmt.Sprintf("- %s deferred %d messages at the first use of their domains", u.name, n))
		}
		if u.redis {
			notes = append(notes, fmt.Sprintf("- %s, before the first signature: %s", u.name, results[i].said))
		}
	}
	printNotes(w, notes)
}
