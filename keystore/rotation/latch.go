package rotation

import (
	"slices"

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

// learn takes the clear answers of the DNS about keys of a domain, and logs what
// follows from them. They count all at once, so that the order in which the keys were
// asked for makes no difference.
func (b *Book) learn(domain string, keys []*keystore.Key, answers []dns.KeyAnswer) {
	if !slices.ContainsFunc(answers, func(a dns.KeyAnswer) bool { return a.Presence != dns.Unknown }) {
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
		at := was.index(key)
		if at < 0 || answers[i].Presence == dns.Unknown {
			continue
		}
		if before := was.marks[at].Presence; before != answers[i].Presence {
			b.logPresence(now, key, before, answers[i])
		}
	}
	b.logSigners(domain, was, now)
}

// learned returns the page with clear answers about the records of its keys.
func (b *Book) learned(was *page, keys []*keystore.Key, answers []dns.KeyAnswer) *page {
	marks := slices.Clone(was.marks)
	proven := make(map[string]bool) // selectors of keys in the directory
	for i, key := range keys {
		at := was.index(key)
		if at < 0 || answers[i].Presence == dns.Unknown {
			continue
		}
		marks[at] = marks[at].answered(answers[i].Presence, b.now())
		if answers[i].Presence == dns.There && slices.Contains(was.of.List(), was.list()[at]) {
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
