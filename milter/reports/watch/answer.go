package watch

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// What an answer depends on beside the reports changes without them: the days that are
// looked back on, keys, records, names.
const (
	answerEach = time.Hour
	nameEach   = 24 * time.Hour
	noNameEach = time.Hour // or it could not be found out in time
	nameLasts  = 7 * 24 * time.Hour
	showEach   = 2 * time.Second
	answerTurn = time.Minute // after which it is looked for new reports: names take their time
)

// Bounds of the questions about names.
const (
	mostNamed = 200    // addresses of a domain, those with most messages
	mostNames = 20_000 // that are remembered
)

// name is that of an address, as it was found out.
type name struct {
	text  string
	since time.Time // when it was last found
	at    time.Time // when it was last asked for
}

// answer answers anew on the domains of which there are other reports, and from time to
// time on all.
func (w *Watch) answer(ctx context.Context, now time.Time) {
	if now.Sub(w.whole) >= answerEach {
		w.whole = now
		w.mu.RLock()
		for _, domain := range w.tally.Domains() {
			w.dirty[domain] = true
		}
		w.mu.RUnlock()
		for domain := range w.All() {
			w.dirty[domain] = true
		}
	}
	if len(w.dirty) == 0 {
		return
	}
	start := time.Now()
	answers, shown := maps.Clone(w.All()), start
	show := func() {
		done := answers
		w.answers.Store(&done)
		answers, shown = maps.Clone(done), time.Now()
	}
	for domain := range w.dirty {
		summary := w.summary(ctx, domain, now)
		if ctx.Err() != nil {
			return // it lacks names
		}
		if answers[domain] = summary; summary == nil {
			delete(answers, domain)
		}
		delete(w.dirty, domain)
		if time.Since(shown) > showEach {
			show()
		}
		if time.Since(start) >= w.turn {
			break // the others are answered on after the next look
		}
		w.pace.rest(ctx)
	}
	show()
}

// summary returns nil where no answer is wanted, or no report is new enough.
func (w *Watch) summary(ctx context.Context, domain string, now time.Time) *Summary {
	if !w.Known(domain) {
		return nil
	}
	q := w.Question(now)
	q.Keys = w.Keys(domain)
	q.KeysKnown = len(q.Keys) > 0
	if w.Resolver != nil {
		q.Published = w.published(ctx, domain)
		w.mu.RLock()
		sources := w.tally.Sources(domain, q)
		w.mu.RUnlock()
		q.Name = w.naming(ctx, sources[:min(len(sources), mostNamed)], now)
	}
	w.mu.RLock()
	a := w.tally.Answer(domain, q)
	w.mu.RUnlock()
	if a.Reports == 0 {
		return nil
	}
	return &Summary{Last: a.Last, Reports: a.Reports, Reporters: len(a.Reporters), Messages: a.Messages,
		Policy: a.Policy, Verdict: a.Verdict}
}

// published returns the record of a domain; empty where there is none, or several, or the
// DNS does not say.
func (w *Watch) published(ctx context.Context, domain string) (found string) {
	answer, err := w.Resolver.Lookup(ctx, "_dmarc."+domain, miekg.TypeTXT)
	if err != nil {
		return ""
	}
	for _, txt := range answer.TXT() {
		text := strings.Join(txt, "")
		if _, err := record.ParseDMARC(text); errors.Is(err, record.ErrNotDMARC) {
			continue
		}
		if found != "" {
			return "" // it counts as none (RFC 9989, section 4.10)
		}
		found = text
	}
	return found
}

// naming returns the names of addresses, having asked for those that are not known.
func (w *Watch) naming(ctx context.Context, addrs []netip.Addr, now time.Time) func(netip.Addr) string {
	var ask []netip.Addr
	for _, addr := range addrs {
		known, ok := w.names[addr]
		each := nameEach
		if known.text == "" || known.at.After(known.since) {
			each = noNameEach
		}
		if !ok || now.Sub(known.at) >= each {
			ask = append(ask, addr)
		}
	}
	if len(w.names)+len(ask) > mostNames {
		clear(w.names)
		ask = addrs
	}
	if len(ask) > 0 {
		found := dns.Names(ctx, w.Resolver, ask, len(ask))
		for _, addr := range ask {
			n := w.names[addr]
			if n.at = now; found[addr] != "" {
				n.text, n.since = found[addr], now
			} else if now.Sub(n.since) > nameLasts { // else the DNS may just not have answered
				n.text = ""
			}
			w.names[addr] = n
		}
	}
	names := make(map[netip.Addr]string, len(addrs))
	for _, addr := range addrs {
		names[addr] = w.names[addr].text
	}
	return func(addr netip.Addr) string { return names[addr] }
}
