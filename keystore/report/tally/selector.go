package tally

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"signpost/keystore/finding"
)

// mostSelectors bounds how many selectors are told of that are not of keys at hand.
const mostSelectors = 100

// selectors says what is seen of each key: those at hand, and those that sign for the domain.
// A key counts as seen by all reports, not only those of the days that are asked for.
func (v *view) selectors() (all []Selector, unseen []string) {
	domains := v.signers()
	namelessOf := make(map[uint32]bool)
	for _, d := range domains {
		keys := v.t.sightings(d, v.q.Now)
		namelessOf[d] = keys.nameless()
		name := v.word(d)
		var others []Selector
		for _, at := range v.q.Keys {
			if sameName(at.Domain, name) {
				s, known := v.t.words.numbers[strings.ToLower(at.Selector)]
				if !known {
					s = ^uint32(0)
				}
				all = append(all, v.selector(Selector{Domain: name, Selector: at.Selector, Stage: at.Stage,
					Sighting: keys.ever(s)}, at, keys.nameless()))
			}
		}
		for s, seen := range keys.of {
			_, at := v.keyAtHand(key{d, s})
			if at || seen.Passed == 0 && seen.Failed == 0 || !v.within(seen.end) && seen.Passed > 0 {
				continue
			}
			others = append(others, Selector{Domain: name, Selector: v.word(s), Foreign: s != 0 && v.knowsKeysOf(name),
				Sighting: seen.Sighting})
		}
		slices.SortFunc(others, func(a, b Selector) int {
			return cmp.Or(b.Passed-a.Passed, b.Failed-a.Failed, strings.Compare(a.Selector, b.Selector))
		})
		for _, o := range others[:min(len(others), mostSelectors)] {
			o.Sighting = keys.ever(v.t.words.numbers[o.Selector])
			all = append(all, v.selector(o, Key{}, false))
		}
	}
	for _, at := range v.q.Keys {
		d, named := v.t.words.numbers[strings.ToLower(at.Domain)]
		if !named || !slices.Contains(domains, d) {
			all = append(all, v.selector(Selector{Domain: at.Domain, Selector: at.Selector, Stage: at.Stage}, at, false))
		}
	}
	for _, s := range all {
		d := v.t.words.numbers[s.Domain]
		if at, known := v.named(s); known && at.Signs && s.Passed == 0 && s.Failed == 0 && !namelessOf[d] {
			unseen = append(unseen, s.Selector)
		}
	}
	return all, unseen
}

func (v *view) named(s Selector) (Key, bool) {
	i := slices.IndexFunc(v.q.Keys, func(k Key) bool {
		return sameName(k.Domain, s.Domain) && sameName(k.Selector, s.Selector)
	})
	if i < 0 {
		return Key{}, false
	}
	return v.q.Keys[i], true
}

// signers returns the domains of signatures that may be ours, the domain itself first: those
// in its reports, of the keys at hand, and above it.
func (v *view) signers() []uint32 {
	found := make(map[uint32]bool)
	look := func(name string) {
		if d, known := v.t.words.numbers[strings.ToLower(name)]; known && v.t.signed[d] != nil && v.ours(d) {
			found[d] = true
		}
	}
	for name := v.domain; name != ""; _, name, _ = strings.Cut(name, ".") {
		look(name)
	}
	for _, k := range v.q.Keys {
		look(k.Domain)
	}
	auths := make(map[uint32]bool)
	v.each(func(b *batch, c *cell) {
		if auths[c.auth] {
			return
		}
		auths[c.auth] = true
		for _, s := range v.t.results[c.auth].signatures {
			if v.ours(s.domain) {
				found[s.domain] = true
			}
		}
	})
	return slices.SortedFunc(maps.Keys(found), func(a, b uint32) int {
		x, y := v.word(a), v.word(b)
		switch {
		case x == y:
			return 0
		case x == v.domain:
			return -1
		case y == v.domain:
			return 1
		}
		return strings.Compare(x, y)
	})
}

// knowsKeysOf reports whether there is no key of a domain but those at hand. Of a domain above
// the caller may not have given them.
func (v *view) knowsKeysOf(domain string) bool {
	return v.q.KeysKnown && (atOrBelow(domain, v.domain) ||
		slices.ContainsFunc(v.q.Keys, func(k Key) bool { return sameName(k.Domain, domain) }))
}

// recent is how long ago a key may have been seen to be in use: reports come a day late.
const recent = 3 * 24 * time.Hour

// selector adds the sentence.
func (v *view) selector(s Selector, at Key, nameless bool) Selector {
	seen := "by " + s.Reporter + " from " + s.Source.String()
	last := "last seen " + on(s.Last, v.q.Now) + " " + seen
	since := "since then " + finding.Count(s.SinceReporters, "reporter", "reporters") +
		" told of " + messages(s.SinceMessages)
	failing := fmt.Sprintf("%s with it, of which none passed", messages(s.Failed))
	switch {
	case s.Foreign && s.Passed > 0:
		s.What = "signs for " + s.Domain + " with a key that is not yours: " + messages(s.Passed) + ", " + last
	case s.Foreign:
		s.What = failing + ": somebody forges, or signs with a key that is not published"
	case at.Signs && s.Passed > 0:
		s.What = "in use, " + last
	case at.Signs && s.Failed > 0:
		s.What = failing + ": its record may be wrong, or receivers do not know its algorithm"
	case at.Signs && nameless:
		s.What = "signs, and the reports name no selectors"
	case at.Signs:
		s.What = "signs, and no report names it"
	case s.Selector == "" && s.Passed > 0:
		s.What = "the reporters name no selector: " + messages(s.Passed) + ", " + last
	case at.Selector == "" && s.Passed > 0:
		s.What = last
	case at.Selector == "":
		s.What = failing
	case s.Last.IsZero() && (at.Stage == "retiring" || at.Stage == "retired") && s.Unused(v.q.Thresholds):
		s.What = "never seen, while " + strings.TrimPrefix(since, "since then ") + ": finish is safe"
	case s.Last.IsZero():
		s.What = "never seen"
	case s.Unused(v.q.Thresholds):
		s.What = last + "; " + since + ": finish is safe"
	case dayOf(v.q.Now).Sub(s.Last) <= recent:
		s.What = "still used by " + s.Source.String() + " (" + s.Reporter + ", " + when(s.Last, v.q.Now) + ")"
	default:
		s.What = last + "; " + since + ": too few to say that nobody uses it"
	}
	return s
}
