package tally

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// mostBroken bounds how many broken signatures are told of.
const mostBroken = 50

// breakage is failed signatures of a key at a source.
type breakage struct {
	key
	source    uint32
	messages  int
	failed    int // of them that failed DMARC
	reporters counts[string]
	days      counts[int64]
	results   counts[uint32]
}

type spot struct {
	key
	source uint32
}

// seenKeys is who saw a key pass, and fail.
type seenKeys struct {
	at     map[spot]*counts[string] // that passed, by reporter
	passed map[key]int
	failed map[key]*counts[string]
}

// broken says what follows from the signatures of ours that failed.
func (v *view) allBroken() []Broken {
	spots := make(map[spot]*breakage)
	seen := seenKeys{make(map[spot]*counts[string]), make(map[key]int), make(map[key]*counts[string])}
	v.each(func(b *batch, c *cell) {
		for _, s := range v.t.results[c.auth].signatures {
			if s.passed && v.ours(s.domain) {
				seen.passed[s.key] += c.count
				inc(seen.at, spot{s.key, c.source}, b.reporter, c.count)
			}
		}
		for _, s := range v.broken(c) {
			at := spot{s.key, c.source}
			br := spots[at]
			if br == nil {
				br = &breakage{key: s.key, source: c.source}
				spots[at] = br
			}
			br.messages += c.count
			if !c.passed() {
				br.failed += c.count
			}
			br.reporters.add(b.reporter, c.count)
			br.days.add(b.day.Unix(), c.count)
			br.results.add(s.result, c.count)
			inc(seen.failed, s.key, b.reporter, c.count)
		}
	})
	var sorted []*breakage
	for _, br := range spots {
		sorted = append(sorted, br)
	}
	slices.SortFunc(sorted, func(a, b *breakage) int {
		return cmp.Or(cmp.Compare(b.messages, a.messages), v.addressOf(a.source).Compare(v.addressOf(b.source)),
			strings.Compare(v.word(a.selector), v.word(b.selector)), strings.Compare(v.word(a.domain), v.word(b.domain)))
	})
	var all []Broken
	for _, br := range sorted[:min(len(sorted), mostBroken)] {
		all = append(all, v.explain(br, &seen))
	}
	return all
}

func inc[K, L comparable](m map[K]*counts[L], k K, l L, n int) {
	c := m[k]
	if c == nil {
		c = &counts[L]{}
		m[k] = c
	}
	c.add(l, n)
}

// afterSigning is what breaks signatures on a host of one's own, with the codes of the findings.
const afterSigning = "look for over-long lines (path-line-length), 8-bit content that is turned into " +
	"quoted-printable (path-8bit) and a content filter that changes or adds to the text " +
	"(path-content-filter): `signpost explain FILE` on a copy of such a message, and `signpost postfix check`"

func (v *view) explain(br *breakage, seen *seenKeys) Broken {
	s := v.sources[br.source]
	b := Broken{Selector: v.word(br.selector), Source: s.address, Kind: s.kind, Messages: br.messages,
		Day:       time.Unix(br.days.most(func(a, b int64) int { return cmp.Compare(b, a) })[0], 0).UTC(),
		Reporters: slices.Sorted(slices.Values(br.reporters.keys))}
	days := on(b.Day, v.q.Now)
	if n := br.days.len(); n > 1 {
		days = fmt.Sprintf("on %d days, most %s", n, days)
	}
	result := v.word(br.results.most(cmp.Compare)[0])
	what := fmt.Sprintf("%s of %s with %s of %s failed (%s) %s", messages(br.messages), who(s.address, s.name),
		v.keyName(br.key), v.word(br.domain), result, days)
	by := strings.Join(b.Reporters, ", ")
	whole := seen.at[spot{br.key, br.source}]
	switch {
	case seen.passed[br.key] == 0 && s.kind == Unknown && !v.signs(br.key):
		b.What = what + ", and the key passes nowhere: forged, or a host of yours whose key is not published"
		b.Hint = "if the host is yours, run " + v.check(br.domain)
	case seen.passed[br.key] == 0 && seen.failed[br.key].len() > 1:
		b.What = what + ", and the key passes nowhere: its record is wrong or missing"
		b.Hint = "run " + v.check(br.domain)
	case result == "temperror":
		b.What = what + ": receivers could not fetch its record"
		b.Hint = "run " + v.check(br.domain) + ": a name server may not answer"
	case s.kind == Modifier, s.kind == Forwarder:
		b.What = what + ": changed on the way by a forwarder or a mailing list, not by you"
	case s.kind == Unknown, s.kind == Service:
		b.What = what + ": changed on the way, or a copied signature in forged mail"
	case br.reporters.len() == 1 && whole != nil && others(whole, by) > 0:
		b.What = what + ": only " + by + " says so: its fault most likely"
	case br.reporters.len() == 1 && whole == nil:
		b.What = what + ": only " + by + " tells of them"
		b.Hint = afterSigning
	case br.reporters.len() == 1:
		b.What = what + ": only " + by + " tells of them, and of others that passed"
		b.Hint = afterSigning
	default:
		b.What = what + fmt.Sprintf(": %d receivers agree: something changes the messages after signing", len(b.Reporters))
		b.Hint = afterSigning
	}
	return b
}

// signs reports whether a key is at hand and signs.
func (v *view) signs(k key) bool {
	at, known := v.keyAtHand(k)
	return known && at.Signs
}

// keyName returns how a key is called in a sentence: some reports name no selector.
func (v *view) keyName(k key) string {
	if k.selector == 0 {
		return "a key"
	}
	return "the key " + v.word(k.selector)
}

// others returns how many reporters there are besides one.
func others(c *counts[string], one string) int {
	if c.of(one) > 0 {
		return c.len() - 1
	}
	return c.len()
}
