package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/keystore/policy"
)

// part is the outcome of one of the two ways to pass DMARC.
type part struct {
	passes Outcome
	why    string
}

// checkAlignment looks whether what signs, and the envelope sender, belong to
// the domain in From: in the way that its policy asks for.
func (a *audit) checkAlignment(ctx context.Context, s *section) {
	if a.policy.policy == nil || a.policy.policy.Found == "" {
		return
	}
	policy := a.policy.policy
	if len(a.keys) > 0 {
		a.aligned(ctx, s, "dkim", "adkim", "the signing domain (d=)", a.keys[0].key.Domain, policy.Record.StrictDKIM,
			"make a key for "+a.domain+" itself: signpost keygen "+a.domain)
	}
	a.aligned(ctx, s, "spf", "aspf", "the envelope sender's domain", a.mailFrom, policy.Record.StrictSPF,
		"send with an address of "+a.domain+" in MAIL FROM")
}

func (a *audit) aligned(ctx context.Context, s *section, kind, tag, what, domain string, strict bool, fix string) {
	aligned, err := a.policy.policy.Aligned(ctx, domain, strict)
	mode := tag + "=r"
	if strict {
		mode = tag + "=s"
	}
	switch {
	case err != nil:
		s.failed(domain, err, "whether it is aligned with "+a.domain+" is not known")
	case aligned:
		s.ok(domain, "%s is aligned with %s (%s)", what, a.domain, mode)
	default:
		s.add(finding.Warning, "dmarc-"+kind+"-unaligned", domain, what+" is not aligned with "+a.domain+" ("+mode+")",
			"what "+strings.ToUpper(kind)+" says does not count for DMARC", fix)
	}
}

// judge writes the last sentence.
func (a *audit) judge(ctx context.Context, r *Report) {
	if a.bogus != "" {
		r.Passes = No
		r.Verdict = fmt.Sprintf("mail from %s will not pass DMARC where the DNS is validated because %s", a.domain, a.bogus)
		return
	}
	if a.policy.policy == nil {
		a.unknown(r, "the DMARC policy cannot be looked up: "+a.policy.err.Error())
		return
	}
	policy := a.policy.policy
	signature, sender := a.judgeDKIM(ctx, policy), a.judgeSPF(ctx, policy)
	differ := slices.ContainsFunc(r.Findings,
		func(f finding.Finding) bool { return f.Code == "dns-differs" && strings.HasPrefix(f.What, "TXT") })
	switch {
	case policy.Policy == "":
		r.Passes = No
		r.Verdict = fmt.Sprintf("mail from %s will not pass DMARC because no valid DMARC policy "+
			"is published; %s; %s", a.domain, signature.why, sender.why)
	case signature.passes != Yes && sender.passes != Yes && (signature.passes == NotKnown || sender.passes == NotKnown):
		why := signature.why
		if signature.passes != NotKnown {
			why = sender.why
		}
		a.unknown(r, why)
	case signature.passes != Yes && sender.passes != Yes:
		r.Passes = No
		r.Verdict = fmt.Sprintf("mail from %s will not pass DMARC because %s, and %s; receivers are told to %s",
			a.domain, signature.why, sender.why, treatment(policy.Policy))
	case differ:
		r.Passes = No
		r.Verdict = fmt.Sprintf("mail from %s will not always pass DMARC because the name "+
			"servers give different answers", a.domain)
	default:
		joint := "and"
		if signature.passes != sender.passes {
			joint = "although"
		}
		first, second := signature.why, sender.why
		if signature.passes != Yes {
			first, second = second, first
		}
		r.Passes = Yes
		r.Verdict = fmt.Sprintf("mail from %s will pass DMARC because %s, %s %s", a.domain, first, joint, second)
	}
}

func (a *audit) unknown(r *Report, why string) {
	r.Passes = NotKnown
	r.Verdict = fmt.Sprintf("could not find out whether mail from %s will pass DMARC because %s", a.domain, why)
}

func treatment(policy string) string {
	switch policy {
	case "reject":
		return "refuse it (p=reject)"
	case "quarantine":
		return "treat it as spam (p=quarantine)"
	}
	return "deliver it all the same (p=none)"
}

// judgeDKIM: one signature that verifies and is aligned is enough.
func (a *audit) judgeDKIM(ctx context.Context, published *policy.AuthorDomain) part {
	if a.Keys == nil {
		return part{NotKnown, "whether it is signed is not known (the key directory cannot be read)"}
	}
	if len(a.keys) == 0 {
		return part{No, "no key signs it"}
	}
	var selectors []string
	var err error
	wrong := ""
	for _, state := range a.keys {
		switch {
		case state.good:
			selectors = append(selectors, state.key.Selector)
		case state.err != nil:
			err = state.err
		case wrong == "":
			wrong = state.wrong
		}
	}
	signing := a.keys[0].key.Domain
	aligned, alignErr := published.Aligned(ctx, signing, published.Record.StrictDKIM)
	switch {
	case len(selectors) > 0 && alignErr != nil:
		return part{NotKnown, "whether the signing domain is aligned is not known (" + alignErr.Error() + ")"}
	case len(selectors) > 0 && !aligned:
		return part{No, "its signature is by " + signing + ", which is not aligned"}
	case len(selectors) > 0:
		return part{Yes, fmt.Sprintf("its signature verifies with the published key of selector "+
			"%s and is aligned (d=%s)", strings.Join(selectors, " and "), signing)}
	case err != nil:
		return part{NotKnown, "whether its signature verifies is not known (" + err.Error() + ")"}
	}
	return part{No, "its signature does not verify (" + wrong + ")"}
}

// judgeSPF: it must pass for every address that sends.
func (a *audit) judgeSPF(ctx context.Context, published *policy.AuthorDomain) part {
	if len(a.spf) == 0 {
		return part{NotKnown, "the sending address is not known, so SPF cannot be evaluated"}
	}
	var passes []string
	for _, state := range a.spf {
		switch state.result.Result {
		case policy.Pass:
			passes = append(passes, state.addr.String())
		case policy.TempError:
			return part{NotKnown, "whether SPF passes for " + state.addr.String() + " is not known (" +
				state.result.Err.Error() + ")"}
		}
	}
	for _, state := range a.spf {
		if state.result.Result != policy.Pass {
			return part{No, fmt.Sprintf("SPF does not pass for %s (%s)", state.addr, state.result.Result)}
		}
	}
	aligned, err := published.Aligned(ctx, a.mailFrom, published.Record.StrictSPF)
	switch {
	case err != nil:
		return part{NotKnown, "whether the envelope sender is aligned is not known (" + err.Error() + ")"}
	case !aligned:
		return part{No, "SPF passes for " + a.mailFrom + ", which is not aligned"}
	}
	return part{Yes, "SPF passes for " + strings.Join(passes, ", ") + " and is aligned"}
}
