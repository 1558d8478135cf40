package main

import (
	"context"
	"slices"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter/status/view"
)

// askDaemon fills in the keys that a running signpostd has, all of them or those
// of domains, and what it finds wrong with them.
func (a *keysAnswer) askDaemon(ctx context.Context, d *daemon, domains []string) error {
	a.Directory, a.Daemon = "", d.client.Address.String()
	shown, err := d.domains(ctx, domains)
	if err != nil {
		return err
	}
	for _, reason := range shown.NotReady {
		what, hint := finding.ParseText(reason)
		a.Findings = append(a.Findings, finding.Finding{
			Code: "daemon-not-ready", Level: finding.Fault, Name: a.Daemon, What: what, Effect: "signpostd is not ready", Fix: hint,
		})
	}
	for _, file := range shown.Invalid {
		what, hint := finding.ParseText(file)
		a.Findings = append(a.Findings, finding.Finding{Code: "dkim-key-broken", Level: finding.Fault, Name: a.Daemon, What: what, Effect: "it does not sign", Fix: hint})
	}
	for _, domain := range shown.Domains {
		a.addDomain(domain)
	}
	if len(shown.Domains) == 0 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-no-key-file", Level: finding.Fault, Name: a.Daemon, What: "signpostd has no key", Effect: "no mail is signed",
			Fix: "make one with \"signpost keygen example.org\"",
		})
	}
	return nil
}

// addDomain adds what signpostd says of a domain, its oldest key first.
func (a *keysAnswer) addDomain(domain view.Domain) {
	find := func(code string, level finding.Level, what, effect, fix string) {
		a.Findings = append(a.Findings, finding.Finding{Code: code, Level: level, Name: domain.Name, What: what, Effect: effect, Fix: fix})
	}
	for _, problem := range domain.Problems {
		what, hint := finding.ParseText(problem)
		find("dkim-key-broken", finding.Fault, what, "", hint)
	}
	if len(domain.Keys) == 0 && len(domain.Problems) == 0 {
		find("dkim-no-key-file", finding.Fault, "signpostd has no key for it", "its mail is not signed", "make one with \"signpost keygen "+domain.Name+"\"")
	}
	for _, key := range slices.Backward(domain.Keys) {
		if key.Stage == rotation.Broken {
			what, hint := finding.ParseText(key.Failure)
			find("dkim-key-broken", finding.Fault, "key "+key.File+": "+what, "it does not sign", hint)
			continue
		}
		signs := key.Stage == rotation.Active
		a.Keys = append(a.Keys, shownKey{
			Domain: domain.Name, Selector: key.Selector, Type: keystore.Algorithm(key.Algorithm), Bits: key.Bits, File: key.File, Modified: key.Made,
			Signs: &signs, Stage: key.Stage, DNS: key.DNS(),
		})
		what := "the key with selector " + key.Selector + " is " + string(key.Stage)
		switch {
		case key.Failure != "" && key.Evidence == "":
			find("dns-failed", finding.Unknown, what+", and what the DNS has is not known: "+key.Failure, "", "")
		case key.Stage == rotation.Active && key.Publish:
			find("dkim-missing", finding.Fault, what+", and is not in the DNS: "+key.Evidence, "no signature of it can be verified", key.Advice)
		case key.Advice != "":
			find("dkim-stage", finding.Note, what+": "+key.Stage.Meaning(), "", key.Advice)
		}
	}
}
