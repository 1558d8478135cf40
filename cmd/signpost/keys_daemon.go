package main

import (
	"context"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// askDaemon fills in the keys that a running signpostd has, all of them or those
// of domains, and what it finds wrong with them.
func (a *keysAnswer) askDaemon(ctx context.Context, d *daemon, domains []string) error {
	a.Directory, a.Daemon = "", d.address.String()
	view, err := d.look(ctx, domains)
	if err != nil {
		return err
	}
	for _, reason := range view.NotReady {
		what, hint, _ := strings.Cut(reason, "; hint: ")
		a.Findings = append(a.Findings, finding.Finding{
			Code: "daemon-not-ready", Level: finding.Fault, Name: a.Daemon, What: what, Effect: "signpostd is not ready", Fix: hint,
		})
	}
	for _, misfit := range view.Misfits {
		what, hint, _ := strings.Cut(misfit, "; hint: ")
		a.Findings = append(a.Findings, finding.Finding{Code: "dkim-key-broken", Level: finding.Fault, Name: a.Daemon, What: what, Effect: "it does not sign", Fix: hint})
	}
	for _, domain := range view.Domains {
		a.addDomain(domain)
	}
	if len(view.Domains) == 0 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-no-key-file", Level: finding.Fault, Name: a.Daemon, What: "signpostd has no key", Effect: "no mail is signed",
			Fix: "make one with \"signpost keygen example.org\"",
		})
	}
	return nil
}

// addDomain takes up what signpostd says of a domain, its oldest key first.
func (a *keysAnswer) addDomain(domain daemonDomain) {
	find := func(code string, level finding.Level, what, effect, fix string) {
		a.Findings = append(a.Findings, finding.Finding{Code: code, Level: level, Name: domain.Name, What: what, Effect: effect, Fix: fix})
	}
	for _, problem := range domain.Problems {
		what, hint, _ := strings.Cut(problem, "; hint: ")
		find("dkim-key-broken", finding.Fault, what, "", hint)
	}
	if len(domain.Keys) == 0 && len(domain.Problems) == 0 {
		find("dkim-no-key-file", finding.Fault, "signpostd has no key for it", "its mail is not signed", "make one with \"signpost keygen "+domain.Name+"\"")
	}
	for _, key := range slices.Backward(domain.Keys) {
		if key.Stage == keystore.Broken {
			what, hint, _ := strings.Cut(key.Failure, "; hint: ")
			find("dkim-key-broken", finding.Fault, "key "+key.File+": "+what, "it does not sign", hint)
			continue
		}
		a.Keys = append(a.Keys, shownKey{
			Domain: domain.Name, Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File, Modified: key.Made,
			Signs: key.Stage == keystore.Active, Stage: key.Stage, DNS: key.dns(),
		})
		what := "the key with selector " + key.Selector + " is " + string(key.Stage)
		switch {
		case key.Failure != "" && key.Evidence == "":
			find("dns-failed", finding.Unknown, what+", and what the DNS has is not known: "+key.Failure, "", "")
		case key.Stage == keystore.Active && key.Publish:
			find("dkim-missing", finding.Fault, what+", and is not in the DNS: "+key.Evidence, "no signature of it can be verified", key.Advice)
		case key.Advice != "":
			find("dkim-stage", finding.Note, what+": "+key.Stage.Meaning(), "", key.Advice)
		}
	}
}
