package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/finding"
	"signpost/keystore/policy"
	"signpost/keystore/record"
)

// spfState is what SPF says of one sending address.
type spfState struct {
	addr   netip.Addr
	result policy.Evaluation
}

// checkSPF lints the record of the envelope sender's domain, follows what it
// includes, and evaluates it for each sending address.
func (a *audit) checkSPF(ctx context.Context, s *section) {
	answer, err := a.resolver.Lookup(ctx, a.mailFrom, miekg.TypeTXT)
	if err != nil {
		s.failed(a.mailFrom, err, "whether an SPF record is published is not known")
		for _, addr := range a.senders {
			a.spf = append(a.spf, spfState{addr, policy.Evaluation{Result: policy.TempError,
				Domain: a.mailFrom, Err: err}})
		}
		return
	}
	large(s, a.mailFrom, answer)
	found := record.LintSPF(a.mailFrom, answer.TXT())
	if slices.ContainsFunc(found, func(f finding.Finding) bool { return f.Code == "spf-missing" }) {
		found = a.missingSPF(ctx, found)
		a.withSenders(ctx, found)
	}
	s.findings = append(s.findings, found...)
	if policies := spfRecords(answer.TXT()); len(policies) == 1 {
		tree := &spfTree{audit: a, section: s, record: policies[0]}
		tree.follow(ctx, a.mailFrom, policies[0], nil)
		tree.conclude()
	}
	a.evaluateSPF(ctx, s, found)
}

// withSenders adds the given addresses that send, and take no mail, to a first
// record that is told to be published.
func (a *audit) withSenders(ctx context.Context, found []finding.Finding) {
	const first = "v=spf1 mx "
	var terms string
	for _, addr := range a.From {
		if !IsPublic(addr) || a.isExchanger(ctx, addr) {
			continue
		}
		terms += addressTerm(addr).String() + " "
	}
	for _, f := range found {
		if f.Publish != nil && strings.HasPrefix(f.Publish.Value, first) {
			f.Publish.Value = first + terms + strings.TrimPrefix(f.Publish.Value, first)
		}
	}
}

func (a *audit) isExchanger(ctx context.Context, addr netip.Addr) bool {
	return slices.ContainsFunc(a.mx, func(host string) bool {
		addrs, err := a.addresses(ctx, host)
		return err == nil && slices.Contains(addrs, addr)
	})
}

func addressTerm(addr netip.Addr) record.Term {
	if addr.Is6() {
		return record.Term{Name: "ip6", Value: addr.String()}
	}
	return record.Term{Name: "ip4", Value: addr.String()}
}

// spfRecords returns those of the texts that receivers take for SPF records.
func spfRecords(texts []record.TXT) []string {
	var policies []string
	for _, t := range texts {
		if _, err := record.ParseSPF(t.Text()); !errors.Is(err, record.ErrNotSPF) {
			policies = append(policies, t.Text())
		}
	}
	return policies
}

// missingSPF looks where the record may have landed.
func (a *audit) missingSPF(ctx context.Context, found []finding.Finding) []finding.Finding {
	if a.landedElsewhere(ctx, found, misplaced{kind: "SPF", name: a.mailFrom, domain: a.mailFrom,
		others: []string{"_spf." + a.mailFrom, "spf." + a.mailFrom, "@." + a.mailFrom},
		is: func(text string) bool {
			_, err := record.ParseSPF(text)
			return err == nil
		}}) {
		return found
	}
	// Type SPF was given up (RFC 7208, section 3.1).
	if old, err := a.resolver.Lookup(ctx, a.mailFrom, miekg.TypeSPF); err == nil && len(old.Records) > 0 {
		for i := range found {
			if found[i].Code == "spf-missing" {
				found[i].Code, found[i].What = "spf-wrong-type",
					"the SPF record is published as type SPF, which receivers no longer read; it must be TXT"
			}
		}
	}
	return found
}

// evaluateSPF asks what a receiver would make of mail from each address. All
// that are missing are told to be added at once: what is published last counts.
func (a *audit) evaluateSPF(ctx context.Context, s *section, linted []finding.Finding) {
	var missing []spfState
	for _, addr := range a.senders {
		state := spfState{addr, policy.SPF(ctx, a.resolver, addr, a.Helo, "postmaster@"+a.mailFrom)}
		a.spf = append(a.spf, state)
		if slices.Contains([]policy.Result{policy.Fail, policy.SoftFail, policy.Neutral}, state.result.Result) {
			missing = append(missing, state)
		}
	}
	fix, publish := a.allow(missing, linted)
	for _, state := range a.spf {
		a.tellSPF(s, state, fix, publish)
	}
}

func (a *audit) tellSPF(s *section, state spfState, fix string, publish *finding.Record) {
	addr, r := state.addr, state.result
	counts := fmt.Sprintf("%d of %d lookups, %d of %d without result", r.Lookups, record.MaxLookups,
		r.Void, record.MaxVoid)
	const fails = "receivers treat mail from this address as forged, unless DKIM passes"
	switch r.Result {
	case policy.Pass:
		s.ok(a.mailFrom, "SPF passes for %s by %s (%s)", addr, r.Term, counts)
	case policy.Fail, policy.SoftFail:
		s.addRecord(finding.Fault, "spf-"+string(r.Result), a.mailFrom,
			fmt.Sprintf("SPF says %s for %s, by %s (%s)", r.Result, addr, cmp.Or(r.Term, "default"),
				counts), fails, fix, publish)
	case policy.Neutral:
		s.addRecord(finding.Fault, "spf-neutral", a.mailFrom,
			fmt.Sprintf("SPF says neither yes nor no for %s: neutral, by %s (%s)", addr,
				cmp.Or(r.Term, "default"), counts),
			"DMARC does not count that as a pass", fix, publish)
	case policy.TempError:
		s.failed(a.mailFrom, r.Err, "whether SPF passes for "+addr.String()+" is not known")
	case policy.PermError:
		code := "spf-permerror"
		switch {
		case r.Lookups > record.MaxLookups:
			code = "spf-lookups"
		case r.Void > record.MaxVoid:
			code = "spf-void-lookups"
		}
		fix := "correct it in the record at the domain named"
		if code == "spf-void-lookups" {
			fix = "remove the terms that find nothing"
		}
		if code == "spf-lookups" && s.has(code) {
			return // told of the whole record already
		}
		s.add(finding.Fault, code, a.mailFrom, fmt.Sprintf("SPF ends with an error for %s: %v (%s)",
			addr, r.Err, counts),
			"receivers count that as no pass, and some refuse the mail (permerror)", fix)
	}
}

// allow is the record with the missing addresses added, before the term that
// keeps them out. It starts from what the lint says to publish, if anything.
func (a *audit) allow(missing []spfState, linted []finding.Finding) (fix string, publish *finding.Record) {
	if len(missing) == 0 {
		return "", nil
	}
	text := missing[0].result.Record
	for _, f := range linted {
		if f.Publish != nil {
			text = f.Publish.Value
		}
	}
	policy, err := record.ParseSPF(text)
	if err != nil {
		return "", nil
	}
	at := len(policy.Terms)
	var addrs []netip.Addr
	var terms []record.Term
	for _, state := range missing {
		decided, _, _ := strings.Cut(state.result.Term, " ")
		if i := slices.IndexFunc(policy.Terms, func(t record.Term) bool {
			return t.Name == "all" || t.Modifier && t.Name == "redirect" ||
				strings.EqualFold(strings.TrimLeft(t.String(), "+-~?"), decided)
		}); i >= 0 {
			at = min(at, i)
		}
		if !IsPublic(state.addr) {
			continue
		}
		addrs, terms = append(addrs, state.addr), append(terms, addressTerm(state.addr))
	}
	if len(terms) == 0 {
		return "receivers see another address than this, which is not public: name it with --from-ip", nil
	}
	policy.Terms = slices.Insert(policy.Terms, at, terms...)
	return "if mail is meant to come from " + join(addrs) + ",",
		&finding.Record{Name: a.mailFrom, Value: policy.String()}
}
