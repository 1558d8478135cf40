package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter"
)

// explainedKey is one of several keys of the signing domain.
type explainedKey struct {
	Selector string         `json:"selector"`
	Stage    rotation.Stage `json:"stage"`
	DNS      string         `json:"dns"` // what it says; empty when a daemon was asked
}

// chosen is who signs for a domain, and how that came about.
type chosen struct {
	signing  []*keystore.Key
	keys     []explainedKey // where there are several to choose from
	findings []finding.Finding
}

// signers returns who signs for a domain: for a signpostd that starts now and asks
// the DNS, or for the one that runs. Each domain is asked for once. What fails stays in
// e.failed, for the milter would take it for a broken key.
func (e *explainer) signers(ctx context.Context) milter.KeySource {
	return func(domain string) ([]*keystore.Key, error) {
		keys := e.keysOf(ctx, domain)
		if err := keys.Err(); err != nil {
			return nil, err
		}
		how, known := e.chosen[domain]
		if !known {
			var err error
			if how, err = e.choose(ctx, domain, keys.List()); err != nil {
				e.failed = err
			}
			e.chosen[domain] = how
		}
		// The relay's own comes after that of the author, and one above it that signs after a
		// shared key that does not.
		if e.domain == "" || len(e.chosen[e.domain].signing) == 0 && len(how.signing) > 0 {
			e.domain = domain
		}
		if len(how.signing) == 0 && keys.List()[0].Shared {
			return nil, keystore.ErrNoKey
		}
		return how.signing, nil
	}
}

// keysOf returns the keys of a domain. It reads them from a store when they are asked for,
// with those of the domains above.
func (e *explainer) keysOf(ctx context.Context, domain string) *keystore.DomainKeys {
	var missing []string
	for name := range dns.Walk(domain) {
		if e.read != nil && !e.read[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		more, err := e.place.Load(ctx, missing...)
		if err != nil {
			e.failed = exitError{exitUnknown, err}
			return e.keys.Domain(domain)
		}
		for _, name := range missing {
			e.read[name] = true
		}
		e.keys = keystore.JoinSnapshots([]*keystore.Snapshot{e.keys, more})
	}
	if e.shared != nil {
		return e.keys.WithShared(e.shared, domain).Domain(domain)
	}
	return e.keys.Domain(domain)
}

func (e *explainer) choose(ctx context.Context, domain string, keys []*keystore.Key) (chosen, error) {
	switch mode := e.signing.Keys.Mode; {
	case rotation.Certain(keys, mode):
		return chosen{signing: rotation.Signing(rotation.Decide(keys, nil, mode, time.Now()))}, nil
	case e.running != nil:
		return e.askDaemon(ctx, domain, keys)
	}
	return e.askDNS(ctx, domain, keys), nil
}

// askDNS decides by what the DNS says.
func (e *explainer) askDNS(ctx context.Context, domain string, keys []*keystore.Key) (how chosen) {
	look := rotation.Look{
		Place: e.place, Mode: e.signing.Keys.Mode, Ask: rotation.Everywhere(e.resolver), Now: time.Now(),
	}
	answered, _ := look.Domain(ctx, domain, keys) // of notes that are damaged rotate tells
	var all []rotation.Status
	for _, key := range answered {
		all = append(all, key.Status)
		how.keys = append(how.keys, explainedKey{key.Selector, key.Stage, key.Said.Text})
		if key.Said.Presence == dns.Unknown {
			how.findings = append(how.findings, finding.Finding{
				Code: "dns-failed", Level: finding.Unknown, Name: key.Name,
				What:   "whether the key is published is not known: " + key.Said.Text,
				Effect: "which key signs is a guess; a signpostd that has asked before stays with what it knows",
				Fix:    "ask it with --daemon, or another resolver with --resolver",
			})
		}
	}
	how.signing = rotation.Signing(all)
	return how
}

// askDaemon takes over what a running signpostd says.
func (e *explainer) askDaemon(ctx context.Context, domain string, keys []*keystore.Key) (how chosen, err error) {
	stages, err := e.running.stages(ctx, domain)
	if err != nil {
		return how, err
	}
	differs := func(what string) (chosen, error) {
		err := fmt.Errorf("signpostd at %s %s", e.running.client.Address, what)
		return chosen{}, exitError{exitUnknown, finding.WithHint(err, "does it read this key directory?")}
	}
	var all []rotation.Status
	for _, key := range keys {
		stage, known := stages[key.Selector]
		switch {
		case !known && key.Shared: // no mail has come from the domain
			stage = rotation.Pending
		case !known:
			return differs("does not know the key " + key.File)
		}
		all = append(all, rotation.Status{Key: key, Signs: stage == rotation.Active})
		how.keys = append(how.keys, explainedKey{Selector: key.Selector, Stage: stage})
	}
	if how.signing = rotation.Signing(all); len(how.signing) == 0 && !keys[0].Shared {
		return differs("signs with none of the keys of " + domain + " in " + e.place.Name())
	}
	return how, nil
}

// words says what stage each key is in.
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
