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
	stages    map[rotation.Stage]int
	attention int
}

// NewIndex returns the index of the domains, which come in any order.
func NewIndex(domains iter.Seq[Summary]) *Index {
	x := &Index{stages: make(map[rotation.Stage]int)}
	type entry struct {
		name      string
		attention Attention
	}
	var entries []entry
	for d := range domains {
		entries = append(entries, entry{d.Name, d.Attention})
		for _, stage := range d.Stages {
			x.stages[stage]++
		}
		if d.Attention != Fine {
			x.attention++
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.attention, a.attention), strings.Compare(a.name, b.name))
	})
	x.names = make([]string, len(entries))
	for i, e := range entries {
		x.names[i] = e.name
	}
	return x
}

// page returns the names on a page of those that have the query in them, the
// number of the page, which is the nearest that there is, and how many pages
// and names there are in all. Pages count from 1.
func (x *Index) page(query string, page, size int) (names []string, at, pages, matching int) {
	found := x.names
	if query != "" {
		found = nil
		for _, name := range x.names {
			if strings.Contains(name, query) {
				found = append(found, name)
			}
		}
	}
	pages = max(1, (len(found)+size-1)/size)
	at = min(max(page, 1), pages)
	first := (at - 1) * size
	return found[first:min(first+size, len(found))], at, pages, len(found)
}
