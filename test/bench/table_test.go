package main

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	table := table{head: []string{"milter", "messages/s"}}
	table.add("µ", number(1234.5))
	table.add("other", number(1.234))
	var b strings.Builder
	table.print(&b)
	want := `| milter | messages/s |
|--------|-----------:|
| µ      |       1234 |
| other  |       1.23 |

`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestRatioIsMadeWithinRounds(t *testing.T) {
	a, b := &result{rates: []float64{20, 300, 60}}, &result{rates: []float64{10, 100, 30}}
	if got := ratio(a, b); got != 2 {
		t.Errorf("ratio %f", got)
	}
	if got := ratio(a, &result{cannot: "it is lazy", rates: b.rates}); got != 0 {
		t.Errorf("ratio %f to one that failed", got)
	}
	if got := quantile([]int{1, 2, 3, 4}, 1); got != 4 {
		t.Errorf("quantile %d", got)
	}
}

func TestTargets(t *testing.T) {
	b := &bench{contenders: []contender{{name: nothingName}, {name: "opendkim"}, {name: "rspamd"}, {name: "fast", ours: true}, {name: "plain", ours: true, pure: true}}}
	of := func(rate, cpu, p99 float64) *result {
		return &result{rates: []float64{rate}, cpu: []float64{cpu}, p99: []float64{p99}, peak: 23}
	}
	f := figures{
		processors: 2,
		signature:  300,
		direct: map[string]map[string]*result{"4KiB x8": {
			nothingName: of(9000, 50, 1), "opendkim": of(800, 2000, 9), "rspamd": of(2000, 900, 10),
			"fast": of(3100, 400, 4), "plain": of(1500, 800, 6), "fast" + bothSuffix: of(3000, 420, 4),
		}},
		many:   map[string]*result{addingName: of(1000, 10, 0), "fast": of(800, 17, 0), "opendkim": of(400, 40, 0), "rspamd": of(700, 25, 0)},
		scales: []*scale{{domains: 100_000, layout: flat, first: 2 * time.Second, drop: time.Second, idle: 119, reloaded: 121, rates: map[string][]float64{"first": {100}, "last": {96}}}},
	}
	var got []string
	for _, x := range b.targets(f) {
		got = append(got, x.what+": "+x.measured+" "+x.met)
	}
	want := []string{
		"4KiB x8: fast / opendkim: 3.88x yes",
		"4KiB x8: fast / rspamd: 1.55x yes",
		"4KiB x8: plain / opendkim: 1.88x **no**",
		"4KiB x8: cost of an Ed25519 signature beside RSA: 3.23 % yes",
		"4KiB x8: CPU of a message (400 µs) to that of one signature by libcrypto and of nothing (350 µs): 1.14x yes",
		"4KiB x8: end of message p99: 4.00 ms yes",
		"through Postfix, many a session: fast / opendkim (a field and a signature alone: 2.17x): 2.00x yes",
		"through Postfix, many a session: fast / rspamd (a field and a signature alone: 1.24x): 1.14x **no**",
		"through Postfix, many a session: share of the machine's CPU: 17.0 % yes",
		"100000 domains, flat: first signature: 2s **no**",
		"100000 domains, flat: a dropped key in use: 1s yes",
		"100000 domains, flat: memory idle: 119 MiB yes",
		"100000 domains, flat: memory after a reload: 121 MiB **no**",
		"100000 domains, flat: last domain to the first: 0.96x yes",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
