package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/milter"
)

// explainedKey is one of several keys of the signing domain.
type explainedKey struct {
	Selector string         `json:"selector"`
	Stage    keystore.Stage `json:"stage"`
	DNS      string         `json:"dns"` // what it says; empty when a daemon was asked
}

// chosen is how the choice of a domain's keys came about.
type chosen struct {
	keys     []explainedKey
	findings []finding.Finding
}

// choose has the DNS, or a running signpostd, say which of a domain's keys signs,
// where there is a choice. It is asked once for each domain, and reports whether it
// was now.
func (e *explainer) choose(ctx context.Context, verdict milter.Verdict) (domain string, asked bool, err error) {
	if len(verdict.Keys) == 0 || e.signing.Keys.Check != keystore.CheckOn {
		return "", false, nil
	}
	domain = verdict.Keys[0].Domain
	if _, done := e.chosen[domain]; done || len(e.keys.Keys(domain)) < 2 {
		return domain, false, nil
	}
	ask := e.askDNS
	if e.running != nil {
		ask = e.askDaemon
	}
	keys, stages, err := ask(ctx, domain)
	if err != nil {
		return domain, false, err
	}
	e.keys.Tell(domain, keys)
	how := chosen{}
	for _, key := range keys {
		how.keys = append(how.keys, explainedKey{key.Selector, stages[key.Selector], key.Said.Text})
		if key.Said.Presence == dns.Unknown {
			how.findings = append(how.findings, finding.Finding{Code: "dns-failed", Level: finding.Unknown, Name: key.Name,
				What: "whether the key is published is not known: " + key.Said.Text, Effect: "which key signs is a guess; a signpostd that has asked before stays with what it knows",
				Fix: "ask it with --daemon, or another resolver with --resolver"})
		}
	}
	e.chosen[domain] = how
	return domain, true, nil
}

// askDNS asks about all keys of a domain. The stages are by selector.
func (e *explainer) askDNS(ctx context.Context, domain string) ([]keystore.Asked, map[string]keystore.Stage, error) {
	keys, err := e.keys.Ask(ctx, e.resolver, domain, e.resolver.Patience)
	if err != nil {
		return nil, nil, err
	}
	return keys, keystore.StagesOf(e.signing.Keys.Dir, domain, keys), nil
}

// askDaemon takes what a running signpostd signs with for what is published. The
// stages are its own.
func (e *explainer) askDaemon(ctx context.Context, domain string) (keys []keystore.Asked, stages map[string]keystore.Stage, err error) {
	if stages, err = e.running.stages(ctx, domain); err != nil {
		return nil, nil, err
	}
	for _, key := range e.keys.Keys(domain) {
		stage, known := stages[key.Selector]
		if !known {
			return nil, nil, exitError{exitUnknown, fmt.Errorf("signpostd at %s does not know the key %s; hint: does it read this key directory?", e.running.address, key.File)}
		}
		asked := keystore.Asked{Key: key, Name: record.Name(key.Selector, domain), Signs: stage == keystore.Active}
		asked.Said.Presence = dns.Missing
		if asked.Signs {
			asked.Said.Presence = dns.There
		}
		keys = append(keys, asked)
	}
	return keys, stages, nil
}

// words says which key is how far.
func (c chosen) words() string {
	keys := slices.Clone(c.keys)
	slices.Reverse(keys)
	var parts []string
	for _, key := range keys {
		part := key.Selector + " is " + string(key.Stage)
		if key.DNS != "" {
			part += " (dns: " + visible(key.DNS) + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
