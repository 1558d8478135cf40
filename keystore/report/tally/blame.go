package tally

import (
	"cmp"
	"net/netip"
	"slices"
)

// fault is whose fault it is that messages failed.
type fault uint8

const (
	ignored fault = iota // by Question.Ignore
	ours                 // of own hosts, and of others that have authority
	changed              // on the way, as the receiver says, by mailing lists and forwarders
	mangled              // on the way, as it looks: a signature broke, and another domain passes
	relayed              // by a forwarder that authenticates as itself, unsigned: it may have been forged
	service              // of a service that authenticates as itself
	nobody               // nothing passes, and nothing tells who it is
)

// blameKey is what failed messages are put together by.
type blameKey struct {
	fault fault
	host  uint32 // of ours
	group group  // of the others
}

// blame is messages that failed for one cause.
type blame struct {
	blameKey
	messages  int
	hit       int // that the next policy does not let pass
	byDKIM    bool
	own       bool // from hosts that send for the domain, though not ours by fault
	hosts     counts[uint32]
	reporters counts[string] // of hit
	days      counts[int64]  // of hit
	causes    counts[cause]
}

// cause is why a message failed.
type cause struct {
	what   causeKind
	key    key    // of brokenKey
	domain uint32 // of strict and elsewhere
}

type causeKind uint8

const (
	unsigned  causeKind = iota
	brokenKey           // a signature of ours failed
	strict              // our own domain passed, and is not aligned by adkim=s or aspf=s
	elsewhere           // another domain passed
	bounce              // unsigned, with an empty envelope sender
)

// judge puts each message that failed where it belongs. It needs know.
func (v *view) judge(next rule) {
	v.each(func(b *batch, c *cell) {
		if c.passed() {
			v.passes.add(b.reporter, c.count)
			return
		}
		k := v.faultOf(b, c)
		g := v.blames[k]
		if g == nil {
			g = &blame{blameKey: k}
			v.blames[k] = g
		}
		g.messages += c.count
		if k.fault == ignored {
			v.sources[c.source].excused += c.count
		}
		if v.dispositionUnder(next, c) == "none" {
			return
		}
		g.hit += c.count
		g.hosts.add(c.source, c.count)
		g.reporters.add(b.reporter, c.count)
		g.days.add(b.day.Unix(), c.count)
		g.causes.add(v.causeOf(c), c.count)
		kind := v.sources[c.source].kind
		g.own = g.own || kind == Own || kind == Relay
		g.byDKIM = g.byDKIM || v.foreign(c).byDKIM
	})
	v.passed = v.passes.sum()
	if v.passes.len() > 0 {
		v.loudest = v.passes.most(cmp.Compare)[0]
	}
}

func (v *view) faultOf(b *batch, c *cell) blameKey {
	s := v.sources[c.source]
	other := v.foreign(c).domain
	own, _ := v.unaligned(c)
	group := v.groupOf(c)
	as := func(f fault) blameKey { return blameKey{fault: f, group: group} }
	switch {
	case s.ignored:
		return blameKey{fault: ignored}
	case s.given:
		return blameKey{fault: ours, host: c.source}
	case other != 0 && v.ignoresDomain(v.word(other)):
		return blameKey{fault: ignored}
	case own != 0: // who holds a key of ours sent it
		return blameKey{fault: ours, host: c.source}
	case c.forwarded:
		return as(changed)
	case s.kind == Own || s.kind == Relay || v.signsInVain(b, c):
		return blameKey{fault: ours, host: c.source}
	case other != 0 && v.brokenOnTheWay(b, c, group):
		return as(mangled)
	case other != 0 && s.kind == Forwarder && len(v.broken(c)) == 0 && s.passedBy.of(b.reporter) > 0:
		return as(relayed)
	case other != 0:
		return as(service)
	}
	return as(nobody)
}

// brokenOnTheWay reports whether a signature of ours failed whose key passes by another way.
// One reporter's word is enough for what it tells of itself, not for what others tell.
func (v *view) brokenOnTheWay(b *batch, c *cell, at group) bool {
	return slices.ContainsFunc(v.broken(c), func(s signature) bool {
		u := v.uses[s.key]
		if u == nil {
			return false
		}
		others := 0
		for reporter, groups := range u.seenBy {
			if groups.len() == 1 && groups.of(at) > 0 {
				continue
			}
			if others++; others > 1 || reporter == b.reporter {
				return true
			}
		}
		return false
	})
}

// signsInVain reports whether a signature failed of a key of ours that signs and never
// passes. Who forges copies signatures that pass.
func (v *view) signsInVain(b *batch, c *cell) bool {
	return slices.ContainsFunc(v.broken(c), func(s signature) bool {
		k, at := v.keyAtHand(s.key)
		if !at || !k.Signs {
			return false
		}
		u := v.uses[s.key]
		return u == nil || len(u.seenBy) == 1 && u.seenBy[b.reporter] == nil
	})
}

// keyAtHand returns a key of the question.
func (v *view) keyAtHand(k key) (Key, bool) {
	domain, selector := v.word(k.domain), v.word(k.selector)
	for _, at := range v.q.Keys {
		if sameName(at.Domain, domain) && sameName(at.Selector, selector) {
			return at, true
		}
	}
	return Key{}, false
}

func (v *view) causeOf(c *cell) cause {
	if domain, _ := v.unaligned(c); domain != 0 {
		return cause{what: strict, domain: domain}
	}
	if failed := v.broken(c); len(failed) > 0 {
		return cause{what: brokenKey, key: failed[0].key}
	}
	if f := v.foreign(c); f.domain != 0 {
		return cause{what: elsewhere, domain: f.domain}
	}
	res := &v.t.results[c.auth]
	if c.sender == 0 && len(res.senders) > 0 &&
		!slices.ContainsFunc(res.senders, func(s sender) bool { return !s.helo }) {
		return cause{what: bounce}
	}
	return cause{what: unsigned}
}

// main returns the most frequent cause.
func (g *blame) main() cause {
	return g.causes.most(func(a, b cause) int {
		return cmp.Or(cmp.Compare(b.what, a.what), compareKeys(a.key, b.key), cmp.Compare(a.domain, b.domain))
	})[0]
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.domain, b.domain), cmp.Compare(a.selector, b.selector))
}

// How much is not a chance any more.
const (
	onePercent     = 10  // over 1 % of the messages that pass
	tenPercent     = 100 // over 10 %
	fewest         = 10  // messages that come in one go
	steadyDays     = 3   // with two reporters
	steadyDaysOnly = 4   // with one
	mass           = 50  // messages that come in one go and say nothing of who sends
)

// large reports whether messages are over one per cent of those that passed.
func (v *view) large(g *blame) bool { return v.over(&g.reporters, onePercent) }

// over reports whether messages, by reporter, are over a share of those that passed, with or
// without the reporter that tells of most, so that nobody makes a sender small by large numbers.
func (v *view) over(by *counts[string], perMille int) bool {
	all := by.sum()
	if all*1000 > v.passed*perMille {
		return true
	}
	rest := v.passed - v.passes.of(v.loudest)
	return v.passes.len() > 1 && (all-by.of(v.loudest))*1000 > rest*perMille
}

// steady reports whether messages come as those of a sender that belongs there do, not as
// those of who tries once.
func (g *blame) steady() bool {
	return g.days.len() >= steadyDays && g.reporters.len() >= 2 || g.days.len() >= steadyDaysOnly
}

// counts reports whether messages stand against the next policy.
func (v *view) counts(g *blame) bool {
	switch g.fault {
	case ours:
		return g.hit > 0
	case service:
		return g.hit >= fewest && (g.steady() || v.large(g)) || g.steady() && v.large(g)
	case mangled, relayed:
		return v.large(g) && (g.steady() || g.hit >= fewest && v.nextIsReject())
	case changed:
		return v.large(g) && (g.hit >= fewest && v.nextIsReject() || g.own && g.steady())
	case nobody:
		return v.large(g) && (g.steady() || g.massive(v))
	}
	return false
}

// massive reports whether messages are so many beside those that passed that they may be a
// newsletter of the domain's own.
func (g *blame) massive(v *view) bool {
	return g.hit >= mass && v.over(&g.reporters, tenPercent) && g.reporters.len() >= 2
}

// sorted returns the blames of one fault, those with most messages first.
func (v *view) sorted(f fault) []*blame {
	var of []*blame
	for _, g := range v.blames {
		if g.fault == f {
			of = append(of, g)
		}
	}
	slices.SortFunc(of, func(a, b *blame) int {
		return cmp.Or(cmp.Compare(b.hit, a.hit), compareGroups(a.group, b.group),
			v.addressOf(a.host).Compare(v.addressOf(b.host)))
	})
	return of
}

func (v *view) addressOf(host uint32) netip.Addr { return v.t.hosts.values[host] }
