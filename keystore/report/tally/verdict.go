package tally

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"signpost/keystore/finding"
)

// Safety is the answer of a verdict.
type Safety string

// Answers of a verdict.
const (
	Safe      Safety = "safe"
	NotYet    Safety = "not yet"
	CannotSay Safety = "cannot say"
)

// Reason is a reason against the next step.
type Reason struct {
	What     string `json:"what"` // is wrong, with its count, in a sentence without a full stop
	Do       string `json:"do"`   // about it, in the imperative; empty where there is only NotMine
	Messages int    `json:"messages"`
	// NotMine is what to add to Question.Ignore if this sender is not the domain's; empty where
	// that cannot be.
	NotMine string `json:"not_mine,omitempty"`
}

// Verdict says whether the next step of the policy is safe.
type Verdict struct {
	Safe    Safety   `json:"safe"`
	Next    string   `json:"next,omitempty"` // quarantine or reject; empty when the policy is reject already
	Text    string   `json:"text"`           // with its count, in a sentence without a full stop
	Against []Reason `json:"against"`        // each reason why not, with what to do
	Lacking []string `json:"lacking"`        // what is missing to say "safe", each a phrase
	Notes   []string `json:"notes"`          // what does not change the verdict and should be known
	// Record is the DMARC record of the next step, made from the one that is published; empty
	// where that is not known.
	Record     string     `json:"record,omitempty"`
	Thresholds Thresholds `json:"thresholds"`
}

// verdict says whether the next step is safe. It needs judge.
func (v *view) verdict(a *Answer) Verdict {
	r := Verdict{Next: v.now.step, Thresholds: v.q.Thresholds, Record: v.now.recordOf(), Against: []Reason{}}
	r.Lacking = v.lacking(a)
	if len(v.batches) > 0 {
		r.Against = v.against()
	}
	r.Notes = v.notes(a)
	step := "p=" + r.Next + " is"
	if r.Next == "" {
		step = "p=reject stays"
	}
	switch {
	case len(r.Against) > 0:
		r.Safe = NotYet
		first := r.Against[0]
		r.Text = "not yet: " + first.What
		if r.Next == "" {
			r.Text = "p=reject of " + v.domain + " hits mail of yours: " + first.What
		}
		if first.Do != "" {
			r.Text += ": " + first.Do
		}
		if more := len(r.Against) - 1; more > 0 {
			r.Text += ", and " + finding.Count(more, "more reason", "more reasons")
		}
	case len(r.Lacking) > 0:
		r.Safe = CannotSay
		r.Text = "cannot say whether " + step + " safe for " + v.domain + ": " + strings.Join(r.Lacking, "; ")
	default:
		r.Safe = Safe
		own := "none"
		if n := v.hits(ours); n > 0 {
			own = finding.Number(n)
		}
		r.Text = fmt.Sprintf("%s safe for %s: %s of %s from %s, %s failed, %s from your hosts", step, v.domain,
			messages(a.Messages.Total()), finding.Count(a.Covered, "day", "days"),
			finding.Count(len(a.Reporters), "reporter", "reporters"),
			finding.Number(a.Messages.Failed), own)
	}
	return r
}

// evidence is what speaks for the domain's own mail: messages that passed. Those that failed may
// all be forged, so they say nothing of what the domain sends.
type evidence struct {
	days, reporters, messages int
}

// evidence counts it, so that neither one reporter nor one day gives more than half of the
// messages that are asked for.
func (v *view) evidence() evidence {
	var byDay, byReporter counts[string]
	names, addresses := make(map[string]bool), make(map[string]bool)
	v.each(func(b *batch, c *cell) {
		if !c.passed() {
			return
		}
		name := strings.ToLower(b.reporter)
		byReporter.add(name, c.count)
		byDay.add(b.day.Format(time.DateOnly), c.count)
		names[name] = true
		addresses[cmp.Or(b.signer, b.email, name)] = true
	})
	least := v.q.Thresholds
	got := evidence{byDay.len(), min(len(names), len(addresses)), byReporter.sum()}
	half := (least.Messages + 1) / 2
	if least.Reporters > 1 {
		got.messages = min(got.messages, byReporter.capped(half))
	}
	if least.Days > 1 {
		got.messages = min(got.messages, byDay.capped(half))
	}
	return got
}

// lacking returns what is missing to say that the next step is safe.
func (v *view) lacking(a *Answer) []string {
	missing := []string{}
	if len(v.batches) == 0 {
		return append(missing, v.noReports())
	}
	least, got := v.q.Thresholds, v.evidence()
	if a.Messages.Total() == 0 {
		return append(missing, "the reports tell of no messages")
	}
	if a.Messages.Passed == 0 {
		return append(missing, "no message passed, so nothing is told of mail of "+v.domain+
			"; if it sends none, publish p=reject and an SPF record \"v=spf1 -all\"")
	}
	asked := func(n int) string { return " (" + finding.Number(n) + " are asked for)" }
	if got.days < least.Days {
		missing = append(missing,
			"only "+finding.Count(got.days, "day", "days")+" with messages that passed"+asked(least.Days))
	}
	if got.reporters < least.Reporters {
		missing = append(missing, "only "+finding.Count(got.reporters, "reporter tells", "reporters tell")+
			" of messages that passed"+asked(least.Reporters))
	}
	switch {
	case a.Messages.Passed < least.Messages:
		missing = append(missing, "only "+messages(a.Messages.Passed)+" passed"+asked(least.Messages))
	case got.messages < least.Messages:
		missing = append(missing, "most of the "+messages(a.Messages.Passed)+
			" that passed are of one reporter or one day, which count for half of the "+
			finding.Number(least.Messages)+" that are asked for")
	}
	return append(missing, v.newKeys(a)...)
}

func (v *view) noReports() string {
	if v.t.domains[v.domain] != nil {
		last := v.t.Last(v.domain, v.q.Now)
		if last.IsZero() {
			return "no reports but of days to come"
		}
		return "no reports of the last " + finding.Count(v.q.Days, "day", "days") +
			"; the last one is of " + date(last, v.q.Now)
	}
	for name := v.domain; name != ""; _, name, _ = strings.Cut(name, ".") {
		if v.t.domains[name] != nil {
			return "no reports on it: reports on " + name + " tell of its mail, too"
		}
	}
	return "no reports"
}

// newKeys tells of a domain whose keys that sign were all never seen, while others were: reports
// are of the time before a rotation. The older ones may not be at hand any more.
func (v *view) newKeys(a *Answer) []string {
	var missing []string
	signing, proven := make(map[string]string), make(map[string]bool)
	before := make(map[string]bool)
	for _, s := range a.Selectors {
		at, known := v.named(s)
		switch {
		case !known && (!s.Foreign || s.Passed == 0):
		case at.Signs && s.Passed > 0:
			proven[s.Domain] = true
		case at.Signs:
			signing[s.Domain] = s.Selector
		case s.Passed > 0:
			before[s.Domain] = true
		}
	}
	for domain, selector := range signing {
		if before[domain] && !proven[domain] {
			missing = append(missing, "no report has seen the key "+selector+" pass, which signs for "+domain+" now")
		}
	}
	slices.Sort(missing)
	return missing
}

// notes tells of what does not change the verdict.
func (v *view) notes(a *Answer) []string {
	notes := []string{}
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if own := v.hits(ours); own > 0 && own <= v.q.Thresholds.OwnFailures {
		add("%s of your hosts failed, which is not more than is allowed (%s)", messages(own),
			finding.Number(v.q.Thresholds.OwnFailures))
	}
	v.faultNotes(add)
	for _, selector := range a.Unseen {
		add("the key %s signs, and no report names it", selector)
	}
	s := v.now
	if s.testing {
		add("t=y makes the policy one step weaker; the next step is without it")
	}
	if s.percent < 100 {
		add("pct=%d is no longer part of DMARC: receivers of RFC 9989 apply the policy to all messages", s.percent)
	}
	for _, tag := range [][2]string{{"sp", s.sp}, {"np", s.np}} {
		if tag[1] != "" && strength(tag[1]) < strength(s.next.p) {
			add("%s=%s stays as it is, so that subdomains are not protected as %s is", tag[0], tag[1], v.domain)
		}
	}
	for _, w := range a.WhatIf {
		if w.Unclear > 0 {
			add("%s of subdomains that may not exist: np= applies if they do not", messages(w.Unclear))
		}
	}
	if v.strange > 0 {
		add("%s with another domain in From passed, and do not count", messages(v.strange))
	}
	v.mail.notes(add)
	if n := v.differing(); n > 0 {
		add("%s the id of another one and other rows; the rows that differ are counted",
			finding.Count(n, "report has", "reports have"))
	}
	return notes
}

// faultNotes tells of messages that failed and do not count.
func (v *view) faultNotes(add func(string, ...any)) {
	for _, f := range []struct {
		fault
		text string
	}{
		{changed, "came by mailing lists or forwarders that break signatures"},
		{mangled, "have a broken signature, as those that came by a mailing list or a forwarder"},
		{relayed, "came unsigned by forwarders"},
		{service, "are authenticated as other domains, too few to be a service of yours"},
		{nobody, "are not authenticated, and their senders are neither steady nor large: they count as forged"},
		{ignored, "are of senders that you said are not yours"},
	} {
		n, senders, top := 0, 0, (*blame)(nil)
		for _, g := range v.sorted(f.fault) {
			if g.hit == 0 || v.counts(g) {
				continue
			}
			n += g.hit
			senders++
			if top == nil {
				top = g
			}
		}
		if top == nil {
			continue
		}
		if senders > 1 {
			add("%s %s; most: %s", messages(n), f.text, v.from(top))
			continue
		}
		add("%s %s", v.from(top), f.text)
	}
}

// differing returns how many reports have the id of another one and other rows.
func (v *view) differing() (n int) {
	if of := v.t.domains[v.domain]; of != nil {
		for _, end := range of.differ {
			if v.within(end) {
				n++
			}
		}
	}
	return n
}
