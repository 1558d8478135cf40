package tally

import (
	"cmp"
	"fmt"
	"slices"

	"signpost/keystore/finding"
)

// mostReasons bounds the reasons of one sort; the others are told of in one line.
const mostReasons = 10

// against returns the reasons against the next policy, those of own hosts first.
func (v *view) against() []Reason {
	all := []Reason{}
	if own := v.hits(ours); own > v.q.Thresholds.OwnFailures {
		all = append(all, v.reasons(ours, v.ownReason)...)
	}
	all = append(all, v.reasons(service, v.serviceReason)...)
	all = append(all, v.reasons(nobody, v.nobodyReason)...)
	for _, f := range []fault{mangled, changed, relayed} {
		all = append(all, v.reasons(f, v.changedReason)...)
	}
	return append(all, v.deadKeys()...)
}

// hits returns how many messages of a fault the next policy does not let pass.
func (v *view) hits(f fault) int {
	sum := 0
	for _, g := range v.blames {
		if g.fault == f {
			sum += g.hit
		}
	}
	return sum
}

func (v *view) reasons(f fault, reason func(*blame) Reason) []Reason {
	var all []Reason
	more, left := 0, 0
	for _, g := range v.sorted(f) {
		switch {
		case !v.counts(g):
		case len(all) < mostReasons:
			all = append(all, reason(g))
		default:
			more++
			left += g.hit
		}
	}
	if more > 0 {
		all = append(all, Reason{What: fmt.Sprintf("%s of %s fail in the same way", messages(left),
			finding.Count(more, "more sender", "more senders")), Do: "look into them, too", Messages: left})
	}
	return all
}

// from names the hosts of messages, and who told of them if that is one reporter only.
func (v *view) from(g *blame) string {
	var hosts []string
	for _, h := range g.hosts.most(func(a, b uint32) int { return v.addressOf(a).Compare(v.addressOf(b)) }) {
		if len(hosts) == 1 {
			break
		}
		hosts = append(hosts, who(v.addressOf(h), v.sources[h].name))
	}
	text := messages(g.hit) + " of " + hosts[0]
	if more := g.hosts.len() - 1; more > 0 {
		text += " and " + finding.Count(more, "more address", "more addresses")
	}
	return text
}

func (v *view) toldBy(g *blame) string {
	if g.reporters.len() == 1 {
		return ", as only " + g.reporters.keys[0] + " says"
	}
	return ""
}

func (v *view) ownReason(g *blame) Reason {
	host := v.sources[g.host]
	whose := "your host"
	if host.kind != Own {
		whose = "which sends for " + v.domain
	}
	r := Reason{Messages: g.hit}
	if !host.given || len(v.q.Own) == 0 {
		r.NotMine = host.address.String()
	}
	c := g.main()
	var what string
	switch c.what {
	case brokenKey:
		what = "failed: " + v.keyName(c.key) + " does not verify"
		r.Do = "find out what changes its messages after signing: `signpost explain FILE` on a copy of one, " +
			"and `signpost postfix check`"
		if v.uses[c.key] == nil {
			what = "failed: " + v.keyName(c.key) + " passes nowhere"
			r.Do = "publish its record, or mend it: " + v.check(c.key.domain)
		}
	case strict:
		what = "passed for " + v.word(c.domain) + " and yet failed"
		r.Do = "sign with the very domain in From, or publish adkim=r and aspf=r; if they are so already, " +
			"the receiver is wrong"
	case elsewhere:
		what = "are authenticated as " + v.word(c.domain) + ", unaligned"
		r.Do = "sign its mail with d=" + v.domain
	case bounce:
		what = "have an empty envelope sender and no signature, as bounces"
		r.Do = "let Postfix sign bounces (internal_mail_filter_classes = bounce): `signpost postfix check`"
	default:
		what = "are not signed, and SPF does not pass"
		r.Do = "sign its mail with d=" + v.domain + ", and add the address to the SPF record"
	}
	r.What = v.from(g) + ", " + whose + ", " + what + v.toldBy(g)
	return r
}

func (v *view) serviceReason(g *blame) Reason {
	name := v.word(g.group.domain)
	r := Reason{Messages: g.hit, NotMine: pasted(name)}
	if c := g.main(); c.what == elsewhere {
		name = v.word(c.domain)
	}
	r.Do = "set up DKIM for " + v.domain + " there"
	what := "pass SPF as " + name + ", unaligned"
	if g.byDKIM {
		what = "are signed with d=" + name + ", unaligned"
	}
	if c := g.main(); c.what == brokenKey {
		what += ", and " + v.keyName(c.key) + " of " + v.word(c.key.domain) + " passes nowhere"
		r.Do = "publish the record of that key as the service gives it"
		if v.uses[c.key] != nil {
			what = "are authenticated as " + name + ", and a signature of " + v.word(c.key.domain) + " in them fails"
			r.Do = "find out what changes them"
		}
	}
	r.What = v.from(g) + " " + what + v.toldBy(g)
	return r
}

func (v *view) nobodyReason(g *blame) Reason {
	r := Reason{Messages: g.hit, NotMine: v.networkOf(g),
		Do: "find out who sends there: if you do, sign that mail and add the address to the SPF record"}
	r.What = fmt.Sprintf("%s, on %s, are not authenticated at all", v.from(g), finding.Count(g.days.len(), "day", "days"))
	if c := g.main(); c.what == brokenKey {
		r.What = fmt.Sprintf("%s, on %s, have a signature of %s that fails, and nothing else", v.from(g),
			finding.Count(g.days.len(), "day", "days"), v.word(c.key.domain))
		r.Do = "find out who sends there: if you do, find out what breaks the signature; " +
			"if it is a forwarder that changes mail, say that it is not yours"
	}
	r.What += v.toldBy(g)
	return r
}

// changedReason is of mail that came by others.
func (v *view) changedReason(g *blame) Reason {
	r := Reason{Messages: g.hit, NotMine: pasted(v.word(g.group.domain)),
		Do: "if your mail comes that way, stay with p=quarantine, or ask the list to write its own address into From"}
	if g.group.domain == 0 {
		r.NotMine = v.networkOf(g)
	}
	what := "came by a mailing list or a forwarder that breaks signatures"
	switch {
	case g.fault == changed && g.own:
		what = "failed, as receivers say because they were forwarded or came by a mailing list, from a host that sends " +
			"for " + v.domain
		r.Do = "find out whether it forwards mail or runs a list, or what else changes its messages after signing"
	case g.fault == mangled:
		what = "have a signature of " + v.domain + " that fails, as those that a mailing list or a forwarder changed"
		if v.nextIsReject() {
			break
		}
		r.Do = "if a host of yours sends them, find out what breaks the signature; if a list does, ask it to write " +
			"its own address into From"
	case g.fault == relayed:
		what = "came unsigned by a forwarder"
		r.Do = "find out who sends them: if you do, sign them with d=" + v.domain
	}
	if g.group.domain != 0 {
		what += " (" + v.word(g.group.domain) + ")"
	}
	r.What = v.from(g) + " " + what + v.toldBy(g)
	return r
}

// networkOf returns what says that the senders of a network are not ours.
func (v *view) networkOf(g *blame) string {
	if g.hosts.len() == 1 {
		return v.addressOf(g.hosts.keys[0]).String()
	}
	return g.group.network.String()
}

// deadKeys are keys that sign at hosts with authority and pass nowhere, though SPF lets the
// messages pass: those that are forwarded fail. One reporter alone does not make a key alive.
func (v *view) deadKeys() []Reason {
	passed, failed := make(map[key]*counts[string]), make(map[key]*counts[string])
	v.each(func(b *batch, c *cell) {
		for _, s := range v.t.results[c.auth].signatures {
			if s.passed && v.ours(s.domain) {
				inc(passed, s.key, b.reporter, c.count)
			}
		}
		if !c.passed() {
			return // is counted with its host
		}
		for _, s := range v.broken(c) {
			inc(failed, s.key, b.reporter, c.count)
		}
	})
	var all []Reason
	for k, by := range failed {
		if p := passed[k]; p != nil && (p.len() > 1 || by.of(p.keys[0]) > 0) {
			continue
		}
		if k.selector == 0 || by.len() < 2 || !v.over(by, onePercent) {
			continue
		}
		all = append(all, Reason{Messages: by.sum(),
			What: fmt.Sprintf("%s of %s are signed with the key %s, which passes nowhere; only SPF lets them pass, "+
				"and forwarding breaks that", messages(by.sum()), v.word(k.domain), v.word(k.selector)),
			Do: "publish its record, or mend it: " + v.check(k.domain)})
	}
	slices.SortFunc(all, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.What, b.What))
	})
	return all
}
