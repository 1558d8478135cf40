package status

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"signpost/keystore/rotation"
)

// Attention says how much a domain needs somebody to look at it.
type Attention int

// Levels of attention.
const (
	Fine   Attention = iota
	Waits            // a key waits for its record, or the DNS cannot be asked
	Urgent           // a key is broken, or mail is deferred
)

// Summary is as much of a domain as the Index needs.
type Summary struct {
	Name      string
	Attention Attention
	Stages    []rotation.Stage // of its keys, one each; it is not kept
}

// Index is the order of the domains, those that need attention first, and the
// counts of all. It is immutable, and cheap to show a page of.
type Index struct {
	names     []string
	have      []uint8 // by the place of a name: a bit for each stage that a key of it has
	keys      map[rotation.Stage]int
	domains   map[rotation.Stage]int // that have such a key
	attention int
	unread    int // domains whose keys nobody has needed yet
}

// NewIndex returns the index of the domains, which come in any order.
func NewIndex(domains iter.Seq[Summary]) *Index {
	x := &Index{keys: make(map[rotation.Stage]int), domains: make(map[rotation.Stage]int)}
	type entry struct {
		name      string
		attention Attention
		have      uint8
	}
	var entries []entry
	all := rotation.Stages()
	for d := range domains {
		e := entry{name: d.Name, attention: d.Attention}
		for _, stage := range d.Stages {
			x.keys[stage]++
			if bit := bitOf(all, stage); e.have&bit == 0 {
				e.have |= bit
				x.domains[stage]++
			}
		}
		if e.have == 0 && d.Attention == Fine {
			x.unread++
		}
		entries = append(entries, e)
		if d.Attention != Fine {
			x.attention++
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.attention, a.attention), strings.Compare(a.name, b.name))
	})
	x.names, x.have = make([]string, len(entries)), make([]uint8, len(entries))
	for i, e := range entries {
		x.names[i], x.have[i] = e.name, e.have
	}
	return x
}

// bitOf is a bit for each stage, and none for what is no stage.
func bitOf(all []rotation.Stage, stage rotation.Stage) uint8 {
	if i := slices.Index(all, stage); i >= 0 {
		return 1 << i
	}
	return 0
}

// page returns the names on the page that is asked for, the number of that page, which
// is the nearest that there is, and how many pages and matching names there are in all.
// Pages count from 1.
func (x *Index) page(q question) (names []string, at, pages, matching int) {
	found, have := x.names, x.have
	if q.show == showAttention {
		found = found[:x.attention]
	}
	if stage := bitOf(rotation.Stages(), rotation.Stage(q.show)); stage != 0 || q.query != "" {
		some := found
		found = nil
		for i, name := range some {
			if have[i]&stage == stage && strings.Contains(name, q.query) {
				found = append(found, name)
			}
		}
	}
	pages = max(1, (len(found)+q.size-1)/q.size)
	at = min(max(q.page, 1), pages)
	first := (at - 1) * q.size
	return found[first:min(first+q.size, len(found))], at, pages, len(found)
}
