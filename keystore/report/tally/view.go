package tally

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"signpost/keystore/report"
)

// view is what a question sees of a tally: the reports on one domain within the days, and
// what is worked out from them in several passes.
type view struct {
	t       *Tally
	domain  string
	q       Question
	batches []*batch
	mail    Mail
	strange int             // messages with another domain in From that passed
	related map[uint32]bool // ours, by number of the domain
	sources map[uint32]*source
	uses    map[key]*use    // aligned passes of the domain's keys
	exists  map[uint32]bool // subdomains whose mail passed
	blames  map[blameKey]*blame
	passes  counts[string] // messages that passed, by reporter
	passed  int            // their sum
	loudest string         // the reporter of most of them
	now     standing

	notMine  map[string]bool // domains of Question.Ignore
	networks []netip.Prefix  // and addresses
}

// skew is how far ahead the clock of a reporter may be.
const skew = 24 * time.Hour

func (t *Tally) view(domain string, q Question) *view {
	v := &view{t: t, domain: strings.ToLower(strings.TrimSuffix(domain, ".")), q: q,
		related: make(map[uint32]bool), sources: make(map[uint32]*source), uses: make(map[key]*use),
		exists: make(map[uint32]bool), blames: make(map[blameKey]*blame), notMine: make(map[string]bool)}
	if v.q.Thresholds == (Thresholds{}) {
		v.q.Thresholds = DefaultThresholds()
	}
	v.q.Own = nil
	for _, p := range q.Own {
		v.q.Own = append(v.q.Own, plain(p))
	}
	for _, name := range q.Ignore {
		if a, err := netip.ParseAddr(name); err == nil {
			v.networks = append(v.networks, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		} else if p, err := netip.ParsePrefix(name); err == nil {
			v.networks = append(v.networks, plain(p))
		} else {
			v.notMine[strings.ToLower(strings.TrimSuffix(name, "."))] = true
		}
	}
	if of := t.domains[v.domain]; of != nil {
		for _, b := range of.batches {
			if v.within(b.end) && !b.begin.After(q.Now.Add(skew)) {
				v.mail.add(b)
				v.batches = append(v.batches, v.counting(b))
			}
		}
	}
	slices.SortStableFunc(v.batches, func(a, b *batch) int {
		return cmp.Or(a.end.Compare(b.end), strings.Compare(a.reporter, b.reporter))
	})
	return v
}

// counting returns what counts of a report. What passed does not if the report is refuted, or the
// mail is of another domain, which says nothing of this one.
func (v *view) counting(b *batch) *batch {
	strange := func(c cell) bool { return c.passed() && !atOrBelow(v.word(c.from), v.domain) }
	leftOut := func(c cell) bool { return c.passed() && b.proof == report.Refuted || strange(c) }
	if !slices.ContainsFunc(b.cells, leftOut) {
		return b
	}
	for _, c := range b.cells {
		if strange(c) {
			v.strange += c.count
		}
	}
	rest := *b
	rest.cells = slices.DeleteFunc(slices.Clone(b.cells), leftOut)
	return &rest
}

// plain returns a network of IPv4 as such, for so are the addresses in reports.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// within reports whether a report that ends then is asked for.
func (v *view) within(end time.Time) bool {
	return v.q.Days <= 0 || end.After(v.q.Now.AddDate(0, 0, -v.q.Days))
}

// each calls f with every cell.
func (v *view) each(f func(b *batch, c *cell)) {
	for _, b := range v.batches {
		for i := range b.cells {
			f(b, &b.cells[i])
		}
	}
}

func (v *view) word(n uint32) string { return v.t.words.values[n] }

// ours reports whether a domain is, is below, or is above the one that the answer is on, so
// that it can be aligned with it, if policy and registry allow.
func (v *view) ours(n uint32) bool {
	is, known := v.related[n]
	if !known {
		name := v.word(n)
		is = atOrBelow(name, v.domain) || strings.Contains(name, ".") && atOrBelow(v.domain, name)
		v.related[n] = is
	}
	return is
}

// atOrBelow reports whether a domain is another one or below it.
func atOrBelow(name, of string) bool {
	return of != "" && (name == of || strings.HasSuffix(name, "."+of))
}

// foreigner is a domain that messages are authenticated as besides, or in place of, an aligned
// one.
type foreigner struct {
	domain uint32
	org    uint32 // the registered domain
	byDKIM bool
}

// foreign returns it. SPF of HELO does not count: it says nothing of an author.
func (v *view) foreign(c *cell) foreigner {
	res := &v.t.results[c.auth]
	for _, s := range res.signatures {
		if s.passed && !v.ours(s.domain) {
			return foreigner{s.domain, s.org, true}
		}
	}
	for _, s := range res.senders {
		if s.passed && !s.helo && s.domain != 0 && !c.spf && !v.ours(s.domain) {
			return foreigner{s.domain, s.org, false}
		}
	}
	return foreigner{}
}

// unaligned returns our own domain that passed, of messages that did not: so strict alignment
// is asked for, or the reporter is wrong.
func (v *view) unaligned(c *cell) (domain uint32, byDKIM bool) {
	if c.passed() {
		return 0, false
	}
	res := &v.t.results[c.auth]
	for _, s := range res.signatures {
		if s.passed && v.ours(s.domain) {
			return s.domain, true
		}
	}
	for _, s := range res.senders {
		if s.passed && !s.helo && s.domain != 0 && v.ours(s.domain) {
			return s.domain, false
		}
	}
	return 0, false
}

// broken returns the signatures of ours that failed. Where another one of the same domain
// passed, as of a pair of RSA and Ed25519, the receiver may not know the algorithm.
func (v *view) broken(c *cell) []signature {
	var failed []signature
	res := &v.t.results[c.auth]
	for _, s := range res.signatures {
		if s.passed || !v.ours(s.domain) {
			continue
		}
		if !slices.ContainsFunc(res.signatures, func(o signature) bool { return o.passed && o.domain == s.domain }) {
			failed = append(failed, s)
		}
	}
	return failed
}

// below reports whether a domain in From is a subdomain.
func (v *view) below(from uint32) bool {
	name := v.word(from)
	return name != v.domain && atOrBelow(name, v.domain)
}

// networkOf returns the /24 or /48 of an address.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits)
	return p
}

// ignoresAddress reports whether Question.Ignore has an address.
func (v *view) ignoresAddress(a netip.Addr) bool {
	return slices.ContainsFunc(v.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ignoresDomain reports whether Question.Ignore has a domain or one above it.
func (v *view) ignoresDomain(name string) bool {
	for name != "" {
		if v.notMine[name] {
			return true
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return false
}
