// Package tally counts what aggregate reports say of a domain, and answers what follows:
// who sends in its name, which keys are in use, and whether a stricter policy is safe.
// It asks no DNS and reads no files.
//
// # What is trusted
//
// Reports come by mail, and anybody can send one. So no report can take away what another one
// says: mail of which one reporter says that it failed stays failed, whatever others say. What a
// report says that passed does not count when it is refuted who sent it (report.Origin). One
// reporter counts for at most half of the messages that "safe" takes, it cannot make a sender
// look small by telling of very many messages, and what it says of forwarding excuses only the
// messages that it tells of itself. A report with the id of another one is no cause to drop rows
// that the other one has not. One reporter can thus hold "safe" back, and cannot bring it about alone; somebody
// who writes as several reporters can, from several domains if their mail is verified.
package tally

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"signpost/keystore/report"
)

// Tally is the sum of reports. It is not safe for use by several goroutines at once while
// reports are added; afterwards it is.
type Tally struct {
	words     table[string]
	orgs      map[uint32]uint32 // of domains, their registered one
	hosts     table[netip.Addr]
	auths     table[string] // keys of results
	results   []results     // by number in auths
	domains   map[string]*told
	reporters map[string]string   // as they were first written, by the name in lower case
	signed    map[uint32][]*batch // reports with a signature of a domain (d=)

	cells int // of all batches
	bytes int // of words and results, about

	mu   sync.Mutex
	seen map[moment]*sightings // of domains with very many reports
}

// told is what was told of one domain.
type told struct {
	batches []*batch
	known   map[identity]*rows
	twice   []time.Time // ends of the reports that came again
	differ  []time.Time // of those with other rows than the first
}

// rows are those of the reports with one identity.
type rows struct {
	first *batch
	had   map[cell]int // of all of them; made for the second
}

type identity struct {
	reporter, id string
	begin        int64
}

// batch is a report, packed.
type batch struct {
	reporter   string
	email      string // domain of its address
	proof      report.Proof
	signer     string // the domain that proves it; empty where none does
	begin, end time.Time
	day        time.Time // of the middle of the period
	policy     report.Policy
	cells      []cell
}

// cell is a row, packed.
type cell struct {
	source, from, sender, auth uint32
	count                      int
	dkim, spf                  bool
	forwarded                  bool // a reason is that somebody forwarded it
	disposition                byte // first letter
	reasons                    uint32
}

func (c *cell) passed() bool { return c.dkim || c.spf }

// results are raw results.
type results struct {
	signatures []signature
	senders    []sender
}

type signature struct {
	key
	org    uint32 // the registered domain of d=
	result uint32
	passed bool
}

// key names a key: d= and s=.
type key struct{ domain, selector uint32 }

type sender struct {
	domain uint32
	org    uint32
	helo   bool
	passed bool
}

// table numbers values.
type table[V comparable] struct {
	numbers map[V]uint32
	values  []V
}

func (t *table[V]) number(v V) uint32 {
	n, ok := t.numbers[v]
	if !ok {
		if t.numbers == nil {
			t.numbers = make(map[V]uint32)
		}
		n = uint32(len(t.values))
		t.numbers[v] = n
		t.values = append(t.values, v)
	}
	return n
}

// word numbers a word.
func (t *Tally) word(w string) uint32 {
	before := len(t.words.values)
	n := t.words.number(w)
	if len(t.words.values) > before {
		t.bytes += len(w) + bytesOfRow
	}
	return n
}

// New returns an empty tally.
func New() *Tally {
	t := &Tally{domains: make(map[string]*told), orgs: make(map[uint32]uint32),
		reporters: make(map[string]string), signed: make(map[uint32][]*batch)}
	t.words.number("") // is 0
	return t
}

// Add counts a report, and reports whether it is new: one with the same reporter, id,
// domain and begin, and the same rows, is counted once. Some reporters give one id to several
// reports (rspamd, for two days at once), so rows that the first has not are counted.
func (t *Tally) Add(r *report.Report) (added bool) {
	domain := strings.ToLower(strings.TrimSuffix(r.Domain, "."))
	of := t.domains[domain]
	if of == nil {
		of = &told{known: make(map[identity]*rows)}
		t.domains[domain] = of
	}
	b := t.pack(r)
	id := identity{strings.ToLower(r.Reporter), r.ID, r.Begin.Unix()}
	if before := of.known[id]; before == nil {
		of.known[id] = &rows{first: b}
	} else {
		if all := before.takeFrom(b); all && b.proof > before.first.proof {
			before.first.proof, before.first.signer = b.proof, b.signer
		}
		if len(b.cells) == 0 {
			of.twice = append(of.twice, b.end)
			return false
		}
		of.differ = append(of.differ, b.end)
	}
	of.batches = append(of.batches, b)
	t.index(b)
	t.seen = nil
	t.cells += len(b.cells)
	return true
}

// takeFrom takes the rows out of a report that were told before, and remembers the others. It
// reports whether all of the first one were among them.
func (r *rows) takeFrom(b *batch) (all bool) {
	if r.had == nil {
		r.had = make(map[cell]int)
		for _, c := range r.first.cells {
			r.had[c]++
		}
	}
	again, told := make(map[cell]int), len(b.cells)
	b.cells = slices.DeleteFunc(b.cells, func(c cell) bool {
		again[c]++
		if again[c] <= r.had[c] {
			return true
		}
		r.had[c] = again[c]
		return false
	})
	return told-len(b.cells) >= len(r.first.cells)
}

// index notes for whom there are signatures in a batch.
func (t *Tally) index(b *batch) {
	var of []uint32
	auths := make(map[uint32]bool)
	for i := range b.cells {
		auth := b.cells[i].auth
		if auths[auth] {
			continue
		}
		auths[auth] = true
		for _, s := range t.results[auth].signatures {
			of = append(of, s.domain)
		}
	}
	slices.Sort(of)
	for _, domain := range slices.Compact(of) {
		t.signed[domain] = append(t.signed[domain], b)
	}
}

// bytesOfRow is how much a row of an honest report takes, and bytesAside what words may take that
// counts for no row.
const (
	bytesOfRow = 128
	bytesAside = 1 << 20
)

// Size returns how much is kept, in rows. One with a hundred signatures of a thousand letters
// counts for very many.
func (t *Tally) Size() int { return t.cells + max(0, t.bytes-bytesAside)/bytesOfRow }

// Domains returns the domains that published a policy that was reported on, sorted.
func (t *Tally) Domains() []string { return slices.Sorted(maps.Keys(t.domains)) }

// Last returns the day of the last report on a domain, of whatever time but that to come; zero
// where there is none.
func (t *Tally) Last(domain string, now time.Time) (last time.Time) {
	if of := t.domains[domain]; of != nil {
		for _, b := range of.batches {
			if b.day.After(last) && !b.begin.After(now.Add(skew)) {
				last = b.day
			}
		}
	}
	return last
}
