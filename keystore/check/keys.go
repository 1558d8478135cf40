package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/rotation"
)

// keyState is what is known of a key that signs.
type keyState struct {
	key   *keystore.Key
	good  bool
	err   error  // could not find out
	wrong string // the first fault of its record
}

// checkKeys compares each key of the domain with its record. Those that sign
// must be there; the record of another is missed only when that key signs.
func (a *audit) checkKeys(ctx context.Context, s *section) {
	if a.Keys == nil {
		what, hint := finding.Split(a.KeysErr)
		s.add(finding.Fault, "dkim-keys-unreadable", a.domain, what, "no mail can be signed with the keys there",
			cmp.Or(hint, "name the key directory with --keys"))
		return
	}
	domain := a.signingDomain(s)
	keys := a.Keys.Keys(domain)
	stages, err := a.stages(ctx, domain, keys)
	if err != nil {
		what, hint := finding.Split(err)
		s.add(finding.Unknown, "dkim-stages", a.domain, what, "which of its keys signs is taken from the DNS", hint)
	}
	for i, key := range keys {
		state := a.checkKey(ctx, s, key, stages[i])
		if stages[i] == rotation.Active {
			a.keys = append(a.keys, state)
		}
	}
}

// stages returns the stage of each key: for a running signpostd, or for one that
// starts now and asks the DNS. The error says why it is not the first, and comes with
// the second.
func (a *audit) stages(ctx context.Context, domain string, keys []*keystore.Key) ([]rotation.Stage, error) {
	stages := make([]rotation.Stage, len(keys))
	var err error
	if a.Stages != nil && len(keys) > 0 {
		var known map[string]rotation.Stage
		known, err = a.Stages(ctx, domain)
		knowsAll := err == nil
		for i, key := range keys {
			stages[i] = known[key.Selector]
			knowsAll = knowsAll && stages[i] != ""
			// A shared key it looks for in the DNS when mail comes from the domain.
			if stages[i] == "" && err == nil && !key.Shared {
				err = finding.WithHint(fmt.Errorf("signpostd does not know the key %s", key.File),
					"does it read this key directory?")
			}
		}
		if knowsAll {
			return stages, nil
		}
	}
	look := rotation.Look{Place: a.KeysIn, Mode: a.Mode, Ask: rotation.Cached(a.resolver), Now: time.Now()}
	answered, _ := look.Domain(ctx, domain, keys) // of notes that are damaged rotate tells
	for i, key := range answered {
		stages[i] = key.Stage
	}
	return stages, err
}

// signingDomain returns the domain whose keys sign for the domain: itself or, where
// that is set, the nearest above it that has any. It is empty where none can sign.
func (a *audit) signingDomain(s *section) string {
	for domain := range dns.Walk(a.domain) {
		err := a.Keys.Domain(domain).Err()
		switch {
		case err == nil:
			for _, problem := range a.Keys.Domain(domain).Problems() {
				what, hint := finding.Split(problem)
				s.add(finding.Warning, "dkim-key-broken", domain, what, "this key does not sign",
					cmp.Or(hint, "repair the file or remove it"))
			}
			return domain
		case !errors.Is(err, keystore.ErrNoKey):
			what, hint := finding.Split(err)
			s.add(finding.Fault, "dkim-key-broken", domain, what,
				"no key of the domain is usable, so its mail cannot be signed", hint)
			return ""
		}
		if !a.Subdomains {
			break
		}
	}
	s.add(finding.Fault, "dkim-unsigned", a.domain, "there is no key for it in "+a.KeysIn.Name(),
		"its mail goes out without a DKIM signature",
		"make one with signpost keygen "+a.domain+", or name the key directory with --keys")
	return ""
}

func (a *audit) checkKey(ctx context.Context, s *section, key *keystore.Key, stage rotation.Stage) keyState {
	state := keyState{key: key}
	name := record.Name(key.Selector, key.Domain)
	want, err := record.ForKey(key.Signer.Public())
	if err != nil {
		state.err = err
		s.add(finding.Unknown, "dkim-key-broken", name, err.Error(), "", "")
		return state
	}
	answer, err := a.resolver.Lookup(ctx, name, miekg.TypeTXT)
	if err != nil {
		state.err = err
		s.failed(name, err, "whether the key of "+key.File+" is published is not known")
		if s.findings[len(s.findings)-1].Level == finding.Fault {
			state.err, state.wrong = nil, err.Error()
		}
		return state
	}
	var found []finding.Finding
	if texts := answer.TXT(); len(texts) == 0 {
		found = a.missingKey(ctx, name, key, want, answer)
	} else if a.resolver.FromWildcard(ctx, answer) && !holds(texts, want) {
		found = []finding.Finding{{Code: "dkim-wildcard", Name: name,
			What: fmt.Sprintf("there is no such record: a wildcard answers in its place: %q",
				shortened(texts[0].Text())),
			Effect:  "verifiers find no key, so every signature with this key fails",
			Publish: &finding.Record{Name: name, Value: want.String()}}}
	} else {
		found = record.LintDKIM(name, texts, want)
	}
	if chain := a.alias(ctx, answer); len(chain) > 0 {
		s.add(finding.Note, "dkim-cname", name, "it is an alias: "+name+" -> "+strings.Join(chain, " -> "),
			"whoever holds "+answer.Owner()+" decides on the key", "")
	}
	large(s, name, answer)
	for _, f := range found {
		f.Level = levelFor(f, stage == rotation.Active)
		if stage == rotation.Pending && f.Code == "dkim-missing" {
			f.Effect = "the key is pending: it " + stage.Meaning()
		}
		if f.Level == finding.Fault && state.wrong == "" {
			state.wrong = name + ": " + f.What
		}
		s.findings = append(s.findings, f)
	}
	if !slices.ContainsFunc(found, func(f finding.Finding) bool { return f.Level != finding.Note }) {
		s.ok(name, "the key of %s is published (%s), and %s: %s", key.File, describe(key), stage, stage.Meaning())
	}
	state.good = state.wrong == ""
	return state
}

// levelFor makes a fault a warning where the key does not sign. Findings of this
// package come without a level.
func levelFor(f finding.Finding, signs bool) finding.Level {
	switch {
	case f.Level != "" && f.Level != finding.Fault:
		return f.Level
	case signs:
		return finding.Fault
	}
	return finding.Warning
}

func describe(key *keystore.Key) string {
	if key.Algorithm == keystore.Ed25519 {
		return "ed25519"
	}
	return fmt.Sprintf("rsa, %d bits", key.Bits)
}

func holds(texts []record.TXT, want record.DKIM) bool {
	return slices.ContainsFunc(texts, func(t record.TXT) bool {
		r, err := record.ParseDKIM(t.Text())
		return err == nil && string(r.PublicKey) == string(want.PublicKey)
	})
}

// large notes an answer that only TCP could carry.
func large(s *section, name string, answer *dns.Answer) {
	if answer.TCP {
		s.add(finding.Warning, "dns-large", name,
			"the TXT records there are too many or too long for UDP: the answer came by TCP",
			"receivers behind a firewall that stops DNS over TCP cannot read any of them",
			"remove records that are no longer needed, or use shorter ones")
	}
}

// shortened is for quoting what may be long: keys differ at their ends.
func shortened(text string) string {
	if len(text) > 100 {
		return text[:60] + "..." + text[len(text)-30:]
	}
	return text
}
