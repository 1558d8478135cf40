package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// missingKey looks where a record that is not at its place may have landed.
func (a *audit) missingKey(ctx context.Context, name string, key *keystore.Key, want record.DKIM,
	answer *dns.Answer) []finding.Finding {
	const effect = "verifiers find no key, so every signature with this key fails"
	publish := &finding.Record{Name: name, Value: want.String()}
	if len(answer.CNAMEs) > 0 {
		code, what := "dkim-cname-dangling", "it is an alias"
		if len(a.alias(ctx, answer)) == 0 {
			code, what = "dkim-wildcard", "there is no such record: a wildcard answers in its place, with an alias"
		}
		return []finding.Finding{{Code: code, Name: name, What: fmt.Sprintf("%s of %s, and %s", what,
			answer.Owner(), nothing(answer)), Effect: effect, Publish: publish}}
	}
	isKey := func(text string) bool {
		r, err := record.ParseDKIM(text)
		return err == nil && len(r.PublicKey) > 0
	}
	for _, place := range doubled(name, key.Domain) {
		if a.find(ctx, place, isKey) {
			return []finding.Finding{{Code: "dkim-doubled-name", Name: name,
				What:    "the record is at " + place + ": the name of the zone was added twice",
				Effect:  effect,
				Publish: renamed(name, place, want.String())}}
		}
	}
	for _, place := range []string{key.Selector + "." + key.Domain, "_domainkey." + key.Domain,
		key.Selector + ".domainkey." + key.Domain,
		key.Selector + "._domainkeys." + key.Domain, key.Domain} {
		if a.find(ctx, place, isKey) {
			return []finding.Finding{{Code: "dkim-misplaced", Name: name,
				What: "there is no TXT record, but one with a key at " + place, Effect: effect, Publish: publish}}
		}
	}
	found := record.LintDKIM(name, nil, want)
	for i := range found {
		if found[i].Code == "dkim-missing" {
			found[i].What = nothing(answer)
		}
	}
	return found
}

// nothing says in words that an answer holds no record.
func nothing(answer *dns.Answer) string {
	name := "the name"
	if len(answer.CNAMEs) > 0 {
		name = "that name"
	}
	if answer.NXDomain {
		return name + " does not exist in the DNS"
	}
	return name + " exists, but has no " + miekg.TypeToString[answer.Type] + " record"
}

// misplaced is a record that is missing at its name, and where people put it.
type misplaced struct {
	kind         string // "SPF" or "DMARC"
	name, domain string
	others       []string // places beside those with the zone's name twice
	is           func(text string) bool
}

// landedElsewhere reports whether the record is at another place, and says so in
// what was found of it as missing.
func (a *audit) landedElsewhere(ctx context.Context, found []finding.Finding, s misplaced) bool {
	twice := doubled(s.name, s.domain)
	places := slices.Concat(twice, s.others)
	at := slices.IndexFunc(places, func(place string) bool { return a.find(ctx, place, s.is) })
	if at < 0 {
		return false
	}
	prefix := strings.ToLower(s.kind)
	for i := range found {
		f := &found[i]
		if f.Code != prefix+"-missing" {
			continue
		}
		if at < len(twice) {
			f.Code, f.What = prefix+"-doubled-name",
				"the "+s.kind+" record is at "+places[at]+": the name of the zone was added twice"
			f.Fix, f.Publish = "", a.renamedTo(ctx, s.name, places[at], s.is)
		} else {
			f.Code, f.What = prefix+"-misplaced", "there is no "+s.kind+" record, but one at "+places[at]
		}
	}
	return true
}

// doubled returns where a record lands when a provider adds a zone to a name
// that was given in full. The zone may lie above the domain.
func doubled(name, domain string) []string {
	var places []string
	for zone := range dns.Walk(domain) {
		if strings.Contains(zone, ".") { // not the top level
			places = append(places, name+"."+zone)
		}
	}
	return places
}

// renamed is a record whose provider put it at place instead of name.
func renamed(name, place, value string) *finding.Record {
	zone := strings.TrimPrefix(place, name+".")
	host := strings.TrimSuffix(strings.TrimSuffix(name, zone), ".")
	return &finding.Record{Name: name, Value: value, Host: cmp.Or(host, "@")}
}

// renamedTo is renamed with the record that is at place.
func (a *audit) renamedTo(ctx context.Context, name, place string, is func(string) bool) *finding.Record {
	texts, _ := a.resolver.TXT(ctx, place)
	for _, t := range texts {
		if is(t.Text()) {
			return renamed(name, place, t.Text())
		}
	}
	return nil
}

// find reports whether one of the texts at a name is what is looked for, and is
// not there by a wildcard.
func (a *audit) find(ctx context.Context, name string, is func(string) bool) bool {
	answer, err := a.resolver.Lookup(ctx, name, miekg.TypeTXT)
	if err != nil {
		return false // a place to look at, and no more: nothing is concluded from it
	}
	return slices.ContainsFunc(answer.TXT(), func(t record.TXT) bool { return is(t.Text()) }) &&
		!a.resolver.FromWildcard(ctx, answer)
}
