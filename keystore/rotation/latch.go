package rotation

import (
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
)

// provisional reports whether the oldest key signs because nothing is known of any.
// Until a message is signed it counts as one that never did.
func (b *Book) provisional(p *page) bool { return b.mode.decides() && nothingKnown(p.marks) }

// replaced returns the keys that had been proven and were replaced in their
// files, under their names, by others that are not: they go on until the world
// can verify what takes their place.
func (b *Book) replaced(keys []*keystore.Key, was *page) (former []*keystore.Key) {
	if was == nil || !b.mode.decides() {
		return nil
	}
	for i, old := range was.list() {
		if was.marks[i].Presence != dns.There {
			continue
		}
		for _, key := range keys {
			if key.Selector == old.Selector && !key.Equal(old) && !was.has(key, dns.There) {
				former = append(former, old)
			}
		}
	}
	return former
}

// use notes that a key signs of which nothing is known.
func (b *Book) use(domain string) {
	s := b.shard(domain)
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.find(domain)
	if was == nil || !b.provisional(was) {
		return
	}
	now := *was
	now.marks = slices.Clone(was.marks)
	for i, key := range now.list() {
		if slices.Contains(now.signing, key) {
			now.marks[i].Active = At(b.now())
		}
	}
	s.set(domain, &now)
	b.changed.Store(true)
	b.revision.Add(1)
}

// answer is what is said of a key now, by the DNS or by another node.
type answer struct {
	dns.KeyAnswer
	everywhere bool     // all name servers were asked
	heard      *Finding // of another node; nil when this one has asked
	asked      bool     // this one has, too, and there was no clear answer
}

// clear reports whether there is anything to learn.
func (a answer) clear() bool { return a.Presence != dns.Unknown }

// mark returns what is known of a key then.
func (a answer) mark(m Mark, signs bool, now time.Time) Mark {
	if a.heard != nil {
		m, _ = m.take(*a.heard, signs, a.asked)
		return m
	}
	return m.answered(a.Presence, a.everywhere, now)
}

// learn takes the clear answers about keys of a domain, and logs what follows from them.
// They count all at once, so that the order in which the keys were asked for makes no
// difference.
func (b *Book) learn(domain string, keys []*keystore.Key, answers []answer) {
	if !slices.ContainsFunc(answers, answer.clear) {
		return
	}
	s := b.shard(domain)
	s.mu.Lock()
	was := s.find(domain)
	if was == nil || was.marks == nil {
		s.mu.Unlock()
		return // the keys went while the DNS was asked
	}
	now := b.learned(was, keys, answers)
	s.set(domain, now)
	s.mu.Unlock()
	b.changed.Store(true)
	b.revision.Add(1)
	for i, key := range keys {
		at, next := was.index(key), now.index(key)
		if at < 0 || !answers[i].clear() {
			continue
		}
		if answers[i].heard == nil && next >= 0 {
			b.news.add(now.marks[next].finding(key, fingerprintOf(key)))
		}
		before, after := was.marks[at].Presence, answers[i].Presence
		if before != after && (next < 0 || now.marks[next].Presence == after) {
			b.logPresence(now, key, before, answers[i].KeyAnswer)
		}
	}
	b.logSigners(domain, was, now)
}

// learned returns the page with clear answers about the records of its keys.
func (b *Book) learned(was *page, keys []*keystore.Key, answers []answer) *page {
	marks := slices.Clone(was.marks)
	proven := make(map[string]bool) // selectors of keys in the directory
	for i, key := range keys {
		at := was.index(key)
		if at < 0 || !answers[i].clear() {
			continue
		}
		marks[at] = answers[i].mark(marks[at], slices.Contains(was.signing, was.list()[at]), b.now())
		if marks[at].Presence == dns.There && slices.Contains(was.of.List(), was.list()[at]) {
			proven[key.Selector] = true
		}
	}
	next := &page{of: was.of, marks: marks}
	if was.more != nil {
		var all []*keystore.Key
		next.marks = nil
		for i, key := range was.list() {
			if proven[key.Selector] && !slices.Contains(was.of.List(), key) {
				continue // it was replaced by one that the world can verify now
			}
			all, next.marks = append(all, key), append(next.marks, marks[i])
		}
		if len(all) > len(was.of.List()) {
			next.more = &all
		}
	}
	next.signing = settle(next.list(), next.marks, b.mode, b.now())
	return next
}
