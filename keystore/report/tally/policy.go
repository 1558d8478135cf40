package tally

import (
	"slices"
	"strings"

	"signpost/keystore/record"
)

// rule is a policy as it is applied (RFC 9989, section 4.7).
type rule struct {
	p, sp, np string
	testing   bool
}

var policies = []string{"none", "quarantine", "reject"}

// strength returns the place of a policy in policies; what is none of them is "none".
func strength(policy string) int { return max(0, slices.Index(policies, policy)) }

// of returns what becomes of a message that failed.
func (r rule) of(below, missing bool) string {
	policy := r.p
	if below && r.sp != "" {
		policy = r.sp
	}
	if missing && r.np != "" {
		policy = r.np
	}
	n := strength(policy)
	if r.testing {
		n = max(0, n-1) // one step weaker (RFC 9989, section 4.7, tag t)
	}
	return policies[n]
}

// dispositionUnder returns what would become of messages that failed. Subdomains are taken
// to exist, for reports do not say.
func (v *view) dispositionUnder(r rule, c *cell) string { return r.of(v.below(c.from), false) }

// standing is the policy that holds, and the next one.
type standing struct {
	rule
	percent   int
	published string // record
	next      rule
	step      string // p of the next one; empty where there is none
}

func (v *view) nextIsReject() bool { return v.now.next.p == "reject" }

// stand works out the policy that holds, by the DNS if that is known, or else by the last
// report, and the next step. That is the policy itself, in full, while t=y or pct= makes it
// weaker.
func (v *view) stand(last Policy) {
	s := standing{rule: rule{last.P, last.SP, last.NP, last.Testing}, percent: 100}
	if last.Percent >= 0 && !last.Seen.IsZero() {
		s.percent = last.Percent
	}
	if r, err := record.ParseDMARC(v.q.Published); err == nil {
		s.published = v.q.Published
		s.rule = rule{r.Policy, r.SubdomainPolicy, r.NonexistentPolicy, r.Testing}
		s.percent = percentOf(v.q.Published)
	} else {
		// Some reporters write sp=none where no sp is published (rspamd does).
		s.sp, s.np = stricter(s.sp, s.p), stricter(s.np, s.p)
	}
	weak := s.testing || s.percent < 100
	s.next = rule{p: s.p, sp: s.sp, np: s.np}
	switch {
	case s.p == "reject" && !weak:
	case weak && strength(s.p) > 0:
		s.step = s.p
	default:
		s.next.p = policies[min(2, strength(s.p)+1)]
		s.step = s.next.p
	}
	if s.next.p == "" {
		s.next.p = policies[0]
	}
	v.now = s
}

// stricter returns a policy, or none where it is weaker than another one.
func stricter(policy, than string) string {
	if strength(policy) < strength(than) {
		return ""
	}
	return policy
}

// percentOf returns the value of pct, a tag of RFC 7489.
func percentOf(text string) int {
	tags, _ := record.ParseTags(text)
	for _, t := range tags {
		if t.Name != "pct" {
			continue
		}
		if n := digits(t.Value); n >= 0 && n <= 100 {
			return n
		}
	}
	return 100
}

func digits(s string) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 1000 {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	if s == "" {
		return -1
	}
	return n
}

// recordOf returns the record of the next step: the one that is published with another p, and
// without t=y and pct, which would weaken it. All else stays as its owner wrote it.
func (s standing) recordOf() string {
	if s.published == "" || s.step == "" {
		return ""
	}
	tags, err := record.ParseTags(strings.TrimSuffix(strings.TrimSpace(s.published), ";"))
	if err != nil {
		r, _ := record.ParseDMARC(s.published)
		r.Policy, r.Testing = s.step, false
		return r.String()
	}
	var parts []string
	for _, t := range tags {
		switch {
		case t.Name == "p", t.Name == "pct", t.Name == "t" && strings.EqualFold(t.Value, "y"):
			continue
		}
		parts = append(parts, t.Name+"="+t.Value)
		if t.Name == "v" {
			parts = append(parts, "p="+s.step)
		}
	}
	return strings.Join(parts, "; ")
}
