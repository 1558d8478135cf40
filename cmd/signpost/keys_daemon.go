package main

import (
	"context"
	"fmt"
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
		a.fault("daemon-not-ready", a.Daemon, what, "signpostd is not ready", hint)
	}
	for _, file := range shown.Invalid {
		what, hint := finding.ParseText(file)
		a.fault("dkim-key-broken", a.Daemon, what, "it does not sign", hint)
	}
	if held := shown.Held; held != nil {
		what, hint := finding.ParseText(held.Why)
		a.fault("dkim-keys-held", a.Daemon, what,
			fmt.Sprintf("%d keys whose files are missing go on signing", held.Keys), hint)
	}
	for _, domain := range shown.Domains {
		a.addDomain(domain)
	}
	if len(shown.Domains) == 0 {
		a.fault("dkim-no-key-file", a.Daemon, "signpostd has no key", "no mail is signed",
			`make one with "signpost keygen example.org"`)
	}
	return nil
}

// addDomain adds what signpostd says of a domain, its oldest key first.
func (a *keysAnswer) addDomain(domain view.Domain) {
	for _, problem := range domain.Problems {
		what, hint := finding.ParseText(problem)
		a.fault("dkim-key-broken", domain.Name, what, "", hint)
	}
	if len(domain.Keys) == 0 && len(domain.Problems) == 0 {
		a.fault("dkim-no-key-file", domain.Name, "signpostd has no key for it", "its mail is not signed",
			`make one with "signpost keygen `+domain.Name+`"`)
	}
	for _, key := range slices.Backward(domain.Keys) {
		if key.Stage == rotation.Broken {
			what, hint := finding.ParseText(key.Failure)
			a.fault("dkim-key-broken", domain.Name, "key "+key.File+": "+what, "it does not sign", hint)
			continue
		}
		signs := key.Stage == rotation.Active
		a.Keys = append(a.Keys, shownKey{
			Domain: domain.Name, Selector: key.Selector, Type: keystore.Algorithm(key.Algorithm),
			Bits: key.Bits, File: key.File, Modified: key.Made, Signs: &signs, Stage: key.Stage, DNS: key.DNS(),
		})
		what := "the key with selector " + key.Selector + " is " + string(key.Stage)
		switch {
		case key.Failure != "" && key.Evidence == "":
			a.Findings = append(a.Findings, finding.Finding{
				Code: "dns-failed", Level: finding.Unknown, Name: domain.Name,
				What: what + ", and what the DNS has is not known: " + key.Failure,
			})
		case key.Stage == rotation.Active && key.Publish:
			a.fault("dkim-missing", domain.Name, what+", and is not in the DNS: "+key.Evidence,
				"no signature of it can be verified", key.Advice)
		case key.Advice != "":
			a.Findings = append(a.Findings, finding.Finding{
				Code: "dkim-stage", Level: finding.Note, Name: domain.Name,
				What: what + ": " + key.Stage.Meaning(), Fix: key.Advice,
			})
		}
	}
}

func (a *keysAnswer) fault(code, name, what, effect, fix string) {
	a.Findings = append(a.Findings, finding.Finding{
		Code: code, Level: finding.Fault, Name: name, What: what, Effect: effect, Fix: fix,
	})
}
