package tally

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"signpost/keystore/report"
)

// Answer says what the reports say of a domain.
func (t *Tally) Answer(domain string, q Question) *Answer {
	v := t.view(domain, q)
	a := &Answer{Domain: v.domain, Reports: len(v.batches), Subdomains: []Subdomain{}, Sources: []Source{},
		Overrides: []Override{}, Broken: []Broken{}, Days: []Day{}, Mail: v.mail}
	v.sum()
	v.know()
	v.fill(a)
	v.stand(a.Policy)
	v.judge(v.now.next)
	v.rows(a)
	a.Sources = v.allSources()
	a.WhatIf = v.whatIf(a.Policy)
	a.Selectors, a.Unseen = v.selectors()
	a.Broken = append(a.Broken, v.allBroken()...)
	a.Verdict = v.verdict(a)
	return a
}

// Selectors returns the selectors that Answer will tell of.
func (t *Tally) Selectors(domain string, q Question) []Selector {
	all, _ := t.view(domain, q).selectors()
	return all
}

// Sources returns the addresses that Answer will tell of. Who asks for the names of the first of
// them asks for those with most messages, as each reporter has it: one that tells of very many
// messages does not keep the names of your own hosts from being asked for.
func (t *Tally) Sources(domain string, q Question) []netip.Addr {
	v := t.view(domain, q)
	var all counts[uint32]
	by := make(map[string]*counts[uint32])
	v.each(func(b *batch, c *cell) {
		all.add(c.source, c.count)
		inc(by, strings.ToLower(b.reporter), c.source, c.count)
	})
	order := func(a, b uint32) int { return v.addressOf(a).Compare(v.addressOf(b)) }
	best := make(map[uint32]int, all.len())
	for _, c := range by {
		for place, source := range c.most(order) {
			if before, is := best[source]; !is || place < before {
				best[source] = place
			}
		}
	}
	sorted := all.most(order)
	slices.SortStableFunc(sorted, func(a, b uint32) int { return cmp.Compare(best[a], best[b]) })
	addrs := make([]netip.Addr, len(sorted))
	for i, source := range sorted {
		addrs[i] = v.addressOf(source)
	}
	return addrs
}

// fill tells of the reports.
func (v *view) fill(a *Answer) {
	reporters := make(map[string]bool)
	days := make(map[time.Time]*Day)
	for _, b := range v.batches {
		if len(b.cells) == 0 {
			continue // some reporters send reports of nothing, daily
		}
		reporters[b.reporter] = true
		d := days[b.day]
		if d == nil {
			d = &Day{Day: b.day}
			days[b.day] = d
		}
		d.Reports++
		for i := range b.cells {
			c := &b.cells[i]
			d.Count.add(c)
			a.Messages.add(c)
		}
		if p := b.policy; b.proof != report.Refuted && !b.end.Before(a.Policy.Seen) {
			a.Policy = Policy{P: p.P, SP: p.SP, NP: p.NP, Testing: p.Testing, Percent: p.Percent, Seen: b.end}
		}
	}
	a.Reporters = slices.Sorted(maps.Keys(reporters))
	a.Covered = len(days)
	if of := v.t.domains[v.domain]; of != nil {
		for _, end := range of.twice {
			if v.within(end) {
				a.Twice++
			}
		}
	}
	a.Days = spread(days)
	if len(a.Days) > 0 {
		a.First, a.Last = a.Days[0].Day, a.Days[len(a.Days)-1].Day
	}
}

func (c *Count) add(of *cell) {
	if of.passed() {
		c.Passed += of.count
	} else {
		c.Failed += of.count
	}
}

// mostDays bounds the days of an answer: reports of the distant past do not make it long.
const mostDays = 1000

// spread returns all days from the first to the last, those without reports too.
func spread(days map[time.Time]*Day) []Day {
	all := []Day{}
	if len(days) == 0 {
		return all
	}
	sorted := slices.SortedFunc(maps.Keys(days), time.Time.Compare)
	first, last := sorted[0], sorted[len(sorted)-1]
	if earliest := last.AddDate(0, 0, 1-mostDays); first.Before(earliest) {
		first = earliest
	}
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		if d := days[day]; d != nil {
			all = append(all, *d)
		} else {
			all = append(all, Day{Day: day})
		}
	}
	return all
}

// rows tells of what is in the rows: subdomains, overrides, and raw results.
func (v *view) rows(a *Answer) {
	below := make(map[uint32]*Subdomain)
	types := make(map[string]int)
	comments := make(map[string]*counts[string])
	v.each(func(b *batch, c *cell) {
		if v.below(c.from) {
			s := below[c.from]
			if s == nil {
				s = &Subdomain{Name: v.word(c.from)}
				below[c.from] = s
			}
			s.Count.add(c)
		}
		if v.overridden(b, c) {
			v.overrides(c, types, comments)
		}
		v.raw(c, &a.Raw)
	})
	for _, s := range below {
		a.Subdomains = append(a.Subdomains, *s)
	}
	slices.SortFunc(a.Subdomains, func(a, b Subdomain) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), strings.Compare(a.Name, b.Name))
	})
	for reason, n := range types {
		o := Override{Type: reason, Messages: n}
		if c := comments[reason]; c != nil {
			o.Comment = c.most(strings.Compare)[0]
		}
		a.Overrides = append(a.Overrides, o)
	}
	slices.SortFunc(a.Overrides, func(a, b Override) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), strings.Compare(a.Type, b.Type))
	})
}

// overridden reports whether a receiver did less than the policy says. Some give reasons for
// all messages (OpenDMARC: "arc=fail").
func (v *view) overridden(b *batch, c *cell) bool {
	if c.passed() || c.reasons == 0 {
		return false
	}
	done := 0
	switch c.disposition {
	case 'q':
		done = 1
	case 'r':
		done = 2
	}
	r := rule{p: b.policy.P, sp: b.policy.SP}
	return c.forwarded || done < strength(r.of(v.below(c.from), false))
}

func (v *view) overrides(c *cell, types map[string]int, comments map[string]*counts[string]) {
	said := make(map[string]bool)
	for reason := range strings.SplitSeq(v.word(c.reasons), "\x01") {
		kind, comment, _ := strings.Cut(reason, "\x00")
		if !said[kind] {
			types[kind] += c.count
		}
		said[kind] = true
		if comment != "" {
			inc(comments, kind, comment, c.count)
		}
	}
}

// raw counts what the raw results would have said: that anything passed, and that anything failed.
func (v *view) raw(c *cell, to *Raw) {
	passed, failed := false, false
	res := &v.t.results[c.auth]
	for _, s := range res.signatures {
		passed, failed = passed || s.passed, failed || !s.passed
	}
	for _, s := range res.senders {
		passed, failed = passed || s.passed, failed || !s.passed
	}
	if !c.passed() && passed {
		to.Passed += c.count
	}
	if c.passed() && failed {
		to.Failed += c.count
	}
}

// mostNames bounds the lists of a source.
const mostNames = 20

func (v *view) allSources() []Source {
	all := make([]Source, 0, len(v.sources))
	for _, s := range v.sources {
		all = append(all, Source{
			Address: s.address, Name: s.name, Network: networkOf(s.address).String(), Kind: s.kind, Why: s.why,
			Ignored: s.ignored || s.excused > 0 && s.excused == s.count.Failed, Count: s.count, DKIM: s.dkim, SPF: s.spf,
			Quarantined: s.quarantined, Rejected: s.rejected,
			As: v.names(&s.as), From: v.names(&s.from), Reporters: slices.Sorted(slices.Values(s.reporters.keys)),
			First: s.first, Last: s.last,
		})
	}
	slices.SortFunc(all, func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), a.Address.Compare(b.Address))
	})
	return all
}

func (v *view) names(c *counts[uint32]) []string {
	most := c.most(cmp.Compare)
	names := make([]string, 0, min(len(most), mostNames))
	for _, n := range most[:min(len(most), mostNames)] {
		names = append(names, v.word(n))
	}
	return names
}
