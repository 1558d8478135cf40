package system

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"signpost/test/lab"
	"signpost/test/lab/nameserver"
)

// A fleet is some nodes that share a store of keys, and the world that they send mail to:
// one DNS and one receiving server.
type fleet struct {
	*world
	network *lab.Network
	size    fleetSize
	sink    *lab.Sink
	store   keyStore
	nodes   []*node
	mail    *fleetMail
	domains []string
	keys    map[string]key // those that the test made, by domain and selector
}

// A keyStore holds the keys of a fleet.
type keyStore interface {
	settings() (args, env []string) // of signpostd and signpost
	put(keys ...storedKey)          // as other software does
	fail(meanwhile func())          // the store does not answer for a while
}

type storedKey struct {
	domain, selector string
	key
}

// A fleetSize is how much is done.
type fleetSize struct {
	domains int // that send mail
	rotated int // of these
	rate    int // of messages a second
	each    int // messages of each phase, at least
	probes  int // of the time until a key is in use
	rsa     int // of so many domains one has an RSA key, the others have Ed25519
}

// fleetEnv has `long` for the fleet of a thousand domains: make fleet.
const fleetEnv = "FLEET"

// newDomain is a domain that must be signed and gets its first key while the fleet runs.
const newDomain = "new.example"

// newDomainPhase is when that happens.
const newDomainPhase = "a new domain gets its key"

// fleetRescan is how often the nodes read the whole store, or its names.
const fleetRescan = 2 * time.Second

// The keys of a fleet are in one store. They are rotated from one node, the store fails over,
// a node is killed and comes back, another one is added, and the old keys are archived, while
// all domains send mail through all nodes: every message arrives, with a signature that
// verifies with the DNS as it was when it arrived.
func TestFleet(t *testing.T) {
	t.Parallel()
	size := fleetSize{domains: 100, rotated: 12, rate: 25, each: 25, probes: 1, rsa: 6}
	if os.Getenv(fleetEnv) == "long" {
		size = fleetSize{domains: 1000, rotated: 980, rate: 60, each: 600, probes: 10, rsa: 2}
	}
	for n, kind := range []string{"redis", "vault"} {
		start := map[string]func(*fleet) keyStore{"redis": startRedis, "vault": startVault}[kind]
		t.Run(kind, func(t *testing.T) {
			if os.Getenv(fleetEnv) == "" {
				t.Parallel()
			}
			newFleet(t, n+1, size, start).sail()
		})
	}
}

func newFleet(t *testing.T, n int, size fleetSize, start func(*fleet) keyStore) *fleet {
	t.Helper()
	f := &fleet{world: newWorld(t), size: size, keys: make(map[string]key)}
	var err error
	if f.network, err = lab.NewNetwork(n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.network.Close() })
	second, err := f.network.Also(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{f.network.Outside, second} {
		server, err := nameserver.Start(address+":53", f.dns)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
	}
	f.write("resolv.conf.fleet", "nameserver "+f.network.Outside+"\n")
	f.write("tsig.key", fmt.Sprintf("key %s { algorithm hmac-sha256; secret %q; };\n", nameserver.TSIGName, nameserver.TSIGSecret))
	f.dns.TakeUpdates()
	f.dns.Publish(t, "test", fmt.Sprintf("rcpt IN MX 10 mx.rcpt\nmx.rcpt IN A %[1]s\nns1 IN A %[1]s\nns2 IN A %[2]s\n", f.network.Outside, second))
	if f.sink, err = lab.StartSink(f.network.Outside + ":25"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.sink.Stop)
	f.sink.Watch(f.dns)
	f.mail = newFleetMail(f)
	f.store = start(f)
	return f
}

// zone is what the zone of a domain has beside keys.
const zone = "@ IN SOA ns1.test. root.test. 1 7200 900 1209600 60\n@ IN NS ns1.test.\n@ IN NS ns2.test.\n"

// fill makes the domains, and their keys in the DNS and in the store. They share a few RSA
// keys, for making one takes long.
func (f *fleet) fill() {
	f.t.Helper()
	var all []storedKey
	var text strings.Builder
	var shared []key
	for n := range f.size.domains {
		domain, kind := fmt.Sprintf("d%04d.example", n), "ed25519"
		k := key{}
		if n%f.size.rsa == 0 {
			if kind = "weak"; len(shared) < 4 {
				shared = append(shared, newKey(f.t, kind))
			}
			k = shared[n/f.size.rsa%len(shared)]
		} else {
			k = newKey(f.t, kind)
		}
		f.domains = append(f.domains, domain)
		f.keys[domain+" s1"] = k
		all = append(all, storedKey{domain, "s1", k})
		fmt.Fprintf(&text, "$ORIGIN %s.\n%s$ORIGIN s1._domainkey.%s.\n%s\n", domain, zone, domain, k.record)
	}
	fmt.Fprintf(&text, "$ORIGIN %s.\n%s", newDomain, zone)
	f.dns.Publish(f.t, ".", text.String())
	f.store.put(all...)
}

// sail is the story of a fleet.
func (f *fleet) sail() {
	size := f.size
	f.fill()
	for range 4 {
		f.addNode()
	}
	f.mail.enter("calm")
	f.mail.start(size.rate)
	f.mail.awaitMore(size.each)

	f.mail.enter(newDomainPhase)
	f.awaitFirstKey()

	f.mail.enter("the keys are rotated")
	next := f.rotate(f.nodes[0])
	f.awaitActive(next)
	f.mail.awaitMore(size.each)

	f.mail.enter("the store fails")
	f.store.fail(func() { f.mail.awaitMore(size.each) })
	f.mail.awaitMore(size.each + size.each/2)

	f.mail.enter("a key is written after that")
	f.timeToUse()

	f.mail.enter("a node is killed")
	f.nodes[1].kill()
	f.mail.awaitMore(size.each)

	f.mail.enter("it is back")
	f.nodes[1].back()
	f.mail.awaitMore(size.each)

	f.mail.enter("a node is added")
	f.addNode()
	f.mail.awaitMore(size.each)

	f.mail.enter("the old keys are archived")
	f.awaitActive(next)
	f.mail.awaitArrival()
	f.finish(f.nodes[2], next)
	f.mail.awaitMore(size.each)

	f.mail.end()
	f.mail.awaitArrival()
	f.balance()
	f.sample(40)
}

// rotated are the domains whose keys are rotated.
func (f *fleet) rotated() []string { return f.domains[:f.size.rotated] }

// rotateArgs are those of signpost rotate.
func (f *fleet) rotateArgs(more ...string) []string {
	return append(append([]string{"--json", "--dns-rate=2000",
		"--publish=rfc2136:server=" + f.network.Outside + ",key-file=" + f.dir + "/tsig.key"}, more...), f.rotated()...)
}

// rotate makes and publishes new keys from a node, and returns their selectors by domain.
func (f *fleet) rotate(from *node) map[string]string {
	f.t.Helper()
	begun := time.Now()
	out, err := from.run("rotate", f.rotateArgs()...)
	if err != nil {
		f.t.Fatalf("rotate: %v\n%.2000s%s", err, out, stderrOf(err))
	}
	var shown struct {
		Domains []struct {
			Domain  string
			Publish []struct{ Selector string }
		}
	}
	if err := json.Unmarshal(out, &shown); err != nil {
		f.t.Fatalf("%v\n%.2000s", err, out)
	}
	next := make(map[string]string)
	for _, d := range shown.Domains {
		if len(d.Publish) == 1 {
			next[d.Domain] = d.Publish[0].Selector
		}
	}
	if len(next) != f.size.rotated {
		f.t.Fatalf("new keys for %d of %d domains:\n%.2000s", len(next), f.size.rotated, out)
	}
	f.t.Logf("%d keys made and published in %v", len(next), time.Since(begun).Round(time.Millisecond))
	return next
}

// awaitActive waits until all nodes sign with these selectors, by domain.
func (f *fleet) awaitActive(next map[string]string) {
	f.t.Helper()
	begun := time.Now()
	for _, n := range f.nodes {
		var missing int
		var err error
		awaitFor(f.t, patience+time.Duration(len(next))*time.Second, "all nodes to sign with the new keys", func() bool {
			var active map[string]string
			if active, err = n.active(); err != nil {
				return false
			}
			missing = 0
			for domain, selector := range next {
				if active[domain] != selector {
					missing++
				}
			}
			return missing == 0
		})
	}
	f.t.Logf("all nodes sign with them after another %v", time.Since(begun).Round(time.Millisecond))
}

// finish archives the old keys from a node, and takes their records out of the DNS.
func (f *fleet) finish(from *node, next map[string]string) {
	f.t.Helper()
	out, err := from.run("rotate", f.rotateArgs("--finish", "--now")...)
	if err != nil {
		f.t.Fatalf("rotate --finish: %v\n%.2000s%s", err, out, stderrOf(err))
	}
	names := make(map[string]bool)
	for _, rr := range f.dns.Records() {
		names[strings.TrimSuffix(rr.Header().Name, ".")] = true
	}
	for domain, selector := range next {
		if names["s1._domainkey."+domain] || !names[selector+"._domainkey."+domain] {
			f.t.Errorf("%s: the record of the old key is there, or that of the new one is not", domain)
		}
	}
}

// awaitFirstKey gives a key to a domain that has none and must be signed.
func (f *fleet) awaitFirstKey() {
	f.t.Helper()
	k := newKey(f.t, "ed25519")
	f.publishKey(k, ed25519Signature(newDomain, "s1"))
	f.keys[newDomain+" s1"] = k
	written := time.Now()
	f.store.put(storedKey{newDomain, "s1", k})
	f.logUse("the first key of a domain", f.awaitUse(newDomain, "s1", written))
}

// probed are some of the domains with Ed25519 keys that are not rotated.
func (f *fleet) probed() (domains []string) {
	for n := f.size.rotated; len(domains) < f.size.probes; n++ {
		if n%f.size.rsa != 0 {
			domains = append(domains, f.domains[n])
		}
	}
	return domains
}

// timeToUse measures how long a key that is written beside another one, and whose record
// was published before, takes until it is in use on all nodes. Its domain is none of those
// with keys from signpost, whose time is known.
func (f *fleet) timeToUse() {
	f.t.Helper()
	for _, domain := range f.probed() {
		k := newKey(f.t, "ed25519")
		f.publishKey(k, ed25519Signature(domain, "s2"))
		f.keys[domain+" s2"] = k
		written := time.Now()
		f.store.put(storedKey{domain, "s2", k})
		f.logUse("a key beside another one", f.awaitUse(domain, "s2", written))
	}
}

func (f *fleet) logUse(what string, after map[string]time.Duration) {
	f.t.Helper()
	var longest time.Duration
	for d := range maps.Values(after) {
		longest = max(longest, d)
	}
	f.t.Logf("%s is in use on all nodes %v after it was written: %v", what, longest.Round(time.Millisecond), after)
}

// awaitUse submits mail of the domain at each node until it is signed with the selector, and
// returns when the first such message was begun, after the time, by node.
func (f *fleet) awaitUse(domain, selector string, since time.Time) map[string]time.Duration {
	f.t.Helper()
	type use struct {
		node  string
		after time.Duration
	}
	used := make(chan use, len(f.nodes))
	for _, n := range f.nodes {
		go func() {
			s := &submitter{m: f.mail}
			defer s.close()
			for time.Since(since) < 4*patience {
				p := f.mail.post(domain)
				for begun := time.Now(); time.Since(since) < 4*patience; begun = time.Now() {
					if !s.attempt(p, n) {
						time.Sleep(5 * time.Millisecond)
						continue
					}
					var message []byte
					lab.Wait(patience, func() bool { message = f.mail.delivery(p.id); return message != nil })
					if found := signatures(message); len(found) == 1 && found[0].selector == selector {
						used <- use{n.p.addr, begun.Sub(since)}
						return
					}
					break
				}
				time.Sleep(50 * time.Millisecond) // the precision of what is measured
			}
			used <- use{n.p.addr, -1}
		}()
	}
	after := make(map[string]time.Duration)
	for range f.nodes {
		u := <-used
		if u.after < 0 {
			f.t.Errorf("%s never signs with %s of %s", u.node, selector, domain)
		}
		after[u.node] = u.after.Round(time.Millisecond)
	}
	return after
}
