package rotation

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/record"
	"signpost/test/lab/testlog"
)

// world is nodes with the same keys, and a DNS that counts.
type world struct {
	*testing.T
	mu    sync.Mutex
	zone  map[string]string                 // by name
	sick  map[string]dns.Presence           // by node, what it is told of all
	asked map[string]map[string][]time.Time // by node and name
	nodes map[string]*worldNode
}

type worldNode struct {
	directory
	name    string
	world   *world
	book    *Book
	checker *Checker
	stop    context.CancelFunc
	places  map[string]string
	log     *testlog.Log
}

func newWorld(t *testing.T) *world {
	return &world{T: t, zone: make(map[string]string), sick: make(map[string]dns.Presence),
		asked: make(map[string]map[string][]time.Time), nodes: make(map[string]*worldNode)}
}

// node makes a node with these keys, which is not started.
func (w *world) node(name string, rate float64, keys map[string][]byte) *worldNode {
	n := &worldNode{directory: newDirectory(w.T), name: name, world: w, places: make(map[string]string), log: new(testlog.Log)}
	for file, data := range keys {
		n.write(file, data)
	}
	log := slog.New(slog.NewTextHandler(n.log, nil))
	store, err := keystore.Open(keystore.Options{Dir: n.path}, log)
	if err != nil {
		w.Fatal(err)
	}
	if n.book, err = Open(store, On, State{}, log); err != nil {
		w.Fatal(err)
	}
	n.checker = NewChecker(n.book, DNS{Resolver: new(dns.Resolver), Rate: rate})
	n.checker.cached, n.checker.everywhere = w.asker(name, 1), w.asker(name, everywhere)
	n.checker.Share(name, n)
	w.asked[name] = make(map[string][]time.Time)
	return n
}

func (n *worldNode) start() {
	ctx, cancel := context.WithCancel(n.world.Context())
	var running sync.WaitGroup
	n.stop = func() {
		n.world.mu.Lock()
		delete(n.world.nodes, n.name)
		n.world.mu.Unlock()
		cancel()
		running.Wait()
	}
	n.checker.First(ctx)
	n.world.mu.Lock()
	n.world.nodes[n.name] = n
	n.world.mu.Unlock()
	running.Go(func() { n.checker.Run(ctx) })
}

// Name and Fetch make a node an exchange with all others.
func (n *worldNode) Name() string { return "world" }

func (n *worldNode) Fetch(_ context.Context, found func([]Finding)) (nodes []string, err error) {
	n.world.mu.Lock()
	others := maps.Clone(n.world.nodes)
	n.world.mu.Unlock()
	for name, other := range others {
		if name == n.name {
			continue
		}
		var text bytes.Buffer
		if err := other.checker.WriteFindings(&text, n.places[name]); err != nil {
			return nodes, err
		}
		if _, n.places[name], err = ReadFindings(&text, found); err != nil {
			return nodes, err
		}
		nodes = append(nodes, name)
	}
	return nodes, nil
}

func (w *world) asker(node string, _ int) Asker {
	return func(_ context.Context, name string, want record.DKIM) dns.KeyAnswer {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked[node][name] = append(w.asked[node][name], time.Now())
		if presence, ok := w.sick[node]; ok {
			return dns.KeyAnswer{Presence: presence, Text: "sick"}
		}
		if w.zone[name] == want.String() {
			return dns.KeyAnswer{Presence: dns.There, Text: "published"}
		}
		return dns.KeyAnswer{Presence: dns.Missing, Text: "no such name"}
	}
}

// publish publishes the key that a node has.
func (w *world) publish(n *worldNode, domain, selector string) {
	for _, key := range n.book.store.Domain(domain).List() {
		if key.Selector == selector {
			want, err := record.ForKey(key.Signer.Public())
			if err != nil {
				w.Fatal(err)
			}
			w.mu.Lock()
			w.zone[record.Name(selector, domain)] = want.String()
			w.mu.Unlock()
		}
	}
}

// questions returns how often each node asked since, about names with the suffix.
func (w *world) questions(since time.Time, suffix string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := make(map[string]int)
	for node, names := range w.asked {
		for name, times := range names {
			for _, at := range times {
				if strings.HasSuffix(name, suffix) && !at.Before(since) {
					n[node]++
				}
			}
		}
	}
	return n
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// await waits, by the clock of the test, until the key signs at all nodes, and returns how
// long that took.
func (w *world) await(domain, selector string, nodes ...*worldNode) time.Duration {
	w.Helper()
	start := time.Now()
	for time.Since(start) < 10*time.Minute {
		signs := func(n *worldNode) bool { return describeSigning(n.book, domain) == selector+":ed25519" }
		if !slices.ContainsFunc(nodes, func(n *worldNode) bool { return !signs(n) }) {
			return time.Since(start)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, n := range nodes {
		w.Errorf("%s signs with %s:\n%s", n.name, describeSigning(n.book, domain), n.log)
	}
	return time.Since(start)
}

// Four nodes ask about each key once in a round, not four times. A new key is in use at all
// of them seconds after it is published, as if each were alone, and so when the node whose
// turn it is has gone.
func TestFleetInSimulatedTime(t *testing.T) {
	const domains = 40
	keys := make(map[string][]byte)
	for i := range domains {
		keys[fmt.Sprintf("d%02d.example/s1.private", i)] = ed25519PEM(t)
	}
	next := ed25519PEM(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var nodes []*worldNode
		for _, name := range []string{"a", "b", "c", "d"} {
			nodes = append(nodes, w.node(name, 20, keys))
		}
		for i := range domains {
			w.publish(nodes[0], fmt.Sprintf("d%02d.example", i), "s1")
		}
		for _, n := range nodes {
			n.start()
		}
		time.Sleep(10 * time.Minute)
		for _, n := range nodes {
			if round := n.checker.Round(); len(round.Nodes) != 4 || round.Length != time.Hour || round.Domains == domains {
				t.Errorf("%s has the round %+v", n.name, round)
			}
			for i := range domains {
				for _, key := range n.book.Status(fmt.Sprintf("d%02d.example", i), time.Now()) {
					if key.Mark.Presence != dns.There {
						t.Errorf("%s knows of %s: %v", n.name, key.Domain, key.Mark.Presence)
					}
				}
			}
		}
		since := time.Now()
		time.Sleep(3 * time.Hour)
		if n := w.questions(since, ""); sum(n) < 2*domains || sum(n) > 4*domains {
			t.Errorf("in three hours %v are asked about %d domains", n, domains)
		} else {
			t.Logf("in three hours %v questions about %d keys", n, domains)
		}

		// The new key comes to all at about one time, and is published later.
		rotate := func(domain string, wait time.Duration, alive []*worldNode) (took time.Duration, asked map[string]int) {
			for _, n := range alive {
				n.write(domain+"/s2.private", next)
				if err := n.book.store.Reload(); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			time.Sleep(wait)
			w.publish(alive[0], domain, "s2")
			took = w.await(domain, "s2", alive...)
			return took, w.questions(start, "s2._domainkey."+domain)
		}
		for i, wait := range []time.Duration{0, 5 * time.Second, time.Minute} {
			took, asked := rotate(fmt.Sprintf("d%02d.example", i), wait, nodes)
			t.Logf("published after %v: all nodes sign with it %v later, after the questions %v", wait, took, asked)
			// Alone it would be found after a pause, which is two fifths of the wait and grows by chance.
			if took > wait/2+8*time.Second {
				t.Errorf("published after %v: all nodes sign with it after %v", wait, took)
			}
			if len(asked) > 1 {
				t.Errorf("published after %v: asked %v, and one would have been enough", wait, asked)
			}
		}

		// The node whose turn it is dies.
		domain := "d30.example"
		dead := slices.IndexFunc(nodes, func(n *worldNode) bool { return n.checker.fleet.owns(domain, time.Now()) })
		nodes[dead].stop()
		left := slices.Delete(slices.Clone(nodes), dead, dead+1)
		took, asked := rotate(domain, 0, left)
		t.Logf("without the node whose turn it is: %v later, after the questions %v", took, asked)
		if took > firstPause*2+latePause+exchangePause {
			t.Errorf("without the node whose turn it is all sign after %v", took)
		}
		time.Sleep(aliveFor + 10*time.Second)
		total := 0
		for _, n := range left {
			total += n.checker.Round().Domains
		}
		if total != domains {
			t.Errorf("those that are left ask about %d of %d domains", total, domains)
		}

		// A node that starts anew knows at once what the others know.
		late := w.node("e", 20, keys)
		start := time.Now()
		late.checker.First(t.Context())
		for i := range domains {
			for _, key := range late.book.Status(fmt.Sprintf("d%02d.example", i), time.Now()) {
				if key.Mark.Presence != dns.There {
					t.Errorf("the new node knows of %s: %v", key.Domain, key.Mark.Presence)
				}
			}
		}
		if n := w.questions(start, ""); len(n) > 0 {
			t.Errorf("%v questions were asked for that", n)
		}
		for _, n := range left {
			n.stop()
		}
	})
}

// A node that is told of every key that it is missing harms itself, and no other. One that
// gets no answers goes by what others find.
func TestFleetWithSickNodes(t *testing.T) {
	keys := make(map[string][]byte)
	for i := range 10 {
		keys[fmt.Sprintf("d%d.example/s1.private", i)] = ed25519PEM(t)
		keys[fmt.Sprintf("d%d.example/s2.private", i)] = ed25519PEM(t)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		well, sick, deaf := w.node("well", 20, keys), w.node("sick", 20, keys), w.node("deaf", 20, keys)
		nodes := []*worldNode{well, sick, deaf}
		for i := range 10 {
			w.publish(well, fmt.Sprintf("d%d.example", i), "s2")
		}
		for _, n := range nodes {
			n.start()
		}
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.sick["sick"], w.sick["deaf"] = dns.Missing, dns.Unknown
		w.mu.Unlock()
		for range 6 {
			time.Sleep(30 * time.Minute)
			for i := range 10 {
				w.await(fmt.Sprintf("d%d.example", i), "s2", well)
			}
		}
		for i := range 10 {
			domain := fmt.Sprintf("d%d.example", i)
			if n := well.log.Count("is gone"); n > 0 {
				t.Fatalf("the log of the node that is well has %d records that are gone:\n%s", n, well.log)
			}
			for _, key := range well.book.Status(domain, time.Now()) {
				if want := map[string]dns.Presence{"s1": dns.Missing, "s2": dns.There}[key.Selector]; key.Mark.Presence != want {
					t.Errorf("%s of %s: %v", key.Selector, domain, key.Mark.Presence)
				}
			}
		}
		// A record that is really gone is gone for the deaf one too.
		w.mu.Lock()
		delete(w.sick, "sick")
		maps.DeleteFunc(w.zone, func(name, _ string) bool { return strings.HasSuffix(name, "d5.example") })
		w.mu.Unlock()
		well.publishOther("d5.example", "s1")
		w.await("d5.example", "s1", nodes...)
		for _, n := range nodes {
			n.stop()
		}
	})
}

// publishOther publishes a key, and has the node ask.
func (n *worldNode) publishOther(domain, selector string) {
	n.world.publish(n, domain, selector)
	n.checker.Hurry(domain)
}
