package tally

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// source is what is counted of an address.
type source struct {
	address     netip.Addr
	name        string
	kind        Kind
	why         string
	given       bool // own because it was given, or by its name
	ignored     bool // its address is
	count       Count
	dkim, spf   int
	both        int
	quarantined int
	rejected    int
	as          counts[uint32]
	from        counts[uint32]
	reporters   counts[string]
	passedBy    counts[string]
	keys        counts[key] // that passed aligned
	forwarded   int         // messages that failed, with a reason that says so
	brokenKeys  counts[key] // of failed signatures of ours, of messages that failed
	foreign     int         // that failed, authenticated as another domain
	excused     int         // that failed, and are of those who do not send for the domain
	first, last time.Time
}

// use is the use of a key: mail that it authenticated.
type use struct {
	homeBy map[string]bool // reporters of mail that came from hosts with authority
	seenBy map[string]*counts[group]
}

// group is what sources have in common: the registered domain of what they authenticate as
// besides, or else their network.
type group struct {
	domain  uint32
	network netip.Prefix
}

func compareGroups(a, b group) int {
	return cmp.Or(cmp.Compare(a.domain, b.domain), a.network.Addr().Compare(b.network.Addr()))
}

func (v *view) groupOf(c *cell) group {
	if f := v.foreign(c); f.domain != 0 {
		return group{domain: f.org}
	}
	return group{network: networkOf(v.t.hosts.values[c.source])}
}

// sum counts for each source, and which subdomains are known to exist.
func (v *view) sum() {
	v.each(func(b *batch, c *cell) {
		s := v.sources[c.source]
		if s == nil {
			s = &source{address: v.t.hosts.values[c.source], first: b.day, last: b.day}
			v.sources[c.source] = s
		}
		if b.day.Before(s.first) {
			s.first = b.day
		}
		if b.day.After(s.last) {
			s.last = b.day
		}
		s.add(v, b, c)
	})
}

func (s *source) add(v *view, b *batch, c *cell) {
	s.reporters.add(b.reporter, c.count)
	s.from.add(c.from, c.count)
	other := v.foreign(c).domain
	if other == 0 {
		other, _ = v.unaligned(c)
	}
	if other != 0 {
		s.as.add(other, c.count)
	}
	switch c.disposition {
	case 'q':
		s.quarantined += c.count
	case 'r':
		s.rejected += c.count
	}
	if !c.passed() {
		s.count.Failed += c.count
		s.addFailed(v, c, other)
		return
	}
	s.count.Passed += c.count
	s.passedBy.add(b.reporter, c.count)
	v.exists[c.from] = true
	if c.spf {
		s.spf += c.count
	}
	if c.dkim {
		s.dkim += c.count
		for _, sig := range v.t.results[c.auth].signatures {
			if sig.passed && v.ours(sig.domain) {
				s.keys.add(sig.key, c.count)
			}
		}
	}
	if c.dkim && c.spf {
		s.both += c.count
	}
}

func (s *source) addFailed(v *view, c *cell, other uint32) {
	if c.forwarded {
		s.forwarded += c.count
	}
	for _, sig := range v.broken(c) {
		s.brokenKeys.add(sig.key, c.count)
	}
	if other != 0 && !v.ours(other) {
		s.foreign += c.count
	}
}

// know works out what each source is. It needs sum.
func (v *view) know() {
	for _, s := range v.sources {
		if v.q.Name != nil {
			s.name = strings.ToLower(strings.TrimSuffix(v.q.Name(s.address), "."))
		}
		s.ignored = v.ignoresAddress(s.address)
		v.authority(s)
	}
	v.follow()
	for _, s := range v.sources {
		if s.kind == "" {
			v.guess(s)
		}
	}
}

// authority tells the sources that are the domain's by what cannot be forged by who sends.
func (v *view) authority(s *source) {
	switch {
	case slices.ContainsFunc(v.q.Own, func(p netip.Prefix) bool { return p.Contains(s.address) }):
		s.kind, s.given = Own, true
		s.why = "its address is one of your own hosts"
		if v.q.OwnIs != "" {
			s.why += " (" + v.q.OwnIs + ")"
		}
	case s.name != "" && atOrBelow(s.name, v.domain):
		s.kind, s.given, s.why = Own, true, "its name is in "+v.domain
	case s.both > 0 && len(v.q.Own) == 0:
		s.kind, s.why = Own, "SPF and DKIM both pass aligned"
	case s.spf > 0:
		s.kind, s.why = Relay, "SPF passes aligned: the domain lets it send"
	}
}

// follow follows each key to the sources that it signs at. It needs authority.
func (v *view) follow() {
	v.each(func(b *batch, c *cell) {
		if !c.dkim {
			return
		}
		at := v.groupOf(c)
		for _, sig := range v.t.results[c.auth].signatures {
			if !sig.passed || !v.ours(sig.domain) {
				continue
			}
			u := v.uses[sig.key]
			if u == nil {
				u = &use{homeBy: make(map[string]bool), seenBy: make(map[string]*counts[group])}
				v.uses[sig.key] = u
			}
			if v.sources[c.source].kind != "" {
				u.homeBy[b.reporter] = true
			}
			if u.seenBy[b.reporter] == nil {
				u.seenBy[b.reporter] = &counts[group]{}
			}
			u.seenBy[b.reporter].add(at, c.count)
		}
	})
}

// guess tells what a source is by how its mail looks.
func (v *view) guess(s *source) {
	switch {
	case s.dkim > 0 && v.origin(s):
		s.kind = Relay
		s.why = "DKIM passes aligned, and most mail of that key comes from here: it signs for the domain"
	case s.dkim > 0:
		s.kind, s.why = Forwarder, "DKIM passes aligned and SPF does not, as of mail that was forwarded"
	case s.forwarded > 0:
		s.kind, s.why = Modifier, "receivers say that its mail was forwarded or came by a mailing list"
	case s.brokenKeys.len() > 0 && s.foreign > 0 && v.passesElsewhere(s):
		s.kind = Modifier
		s.why = "signatures of the domain arrive broken, and it is authenticated as " + v.asText(s)
	case s.brokenKeys.len() > 0 && v.passesElsewhere(s):
		s.kind = Modifier
		s.why = "signatures of the domain arrive broken, whose key passes elsewhere"
	case s.as.len() > 0:
		s.kind = Service
		s.why = "authenticated as " + v.asText(s) + ", which is not aligned with the domain"
	case s.brokenKeys.len() > 0:
		s.kind, s.why = Unknown, "signatures of the domain fail, whose key passes nowhere"
	default:
		s.kind, s.why = Unknown, "nothing passes"
	}
}

func (v *view) asText(s *source) string {
	return v.word(s.as.most(cmp.Compare)[0])
}

// origin reports whether a key that passes at a source comes from there: no host with
// authority signs with it, as two reporters say, and most of its mail is of this source's
// network or service, with or without the reporter that tells of most.
func (v *view) origin(s *source) bool {
	here := []group{{network: networkOf(s.address)}}
	for _, domain := range s.as.keys {
		here = append(here, group{domain: v.t.orgs[domain]})
	}
	for _, k := range s.keys.keys {
		u := v.uses[k]
		if len(u.homeBy) < 2 && k.selector != 0 && slices.ContainsFunc(here, u.mostly) {
			return true
		}
	}
	return false
}

// mostly reports whether most mail of a key is of a group.
func (u *use) mostly(g group) bool {
	of, total, loudest, loud := 0, 0, 0, 0
	for _, groups := range u.seenBy {
		n := groups.sum()
		of, total = of+groups.of(g), total+n
		if n > loudest {
			loudest, loud = n, groups.of(g)
		}
	}
	return 2*of >= total || total > loudest && 2*(of-loud) >= total-loudest
}

// passesElsewhere reports whether a key of a signature that failed at a source passes at
// others, so that it is the way that broke it.
func (v *view) passesElsewhere(s *source) bool {
	return slices.ContainsFunc(s.brokenKeys.keys, func(k key) bool { return v.uses[k] != nil })
}
