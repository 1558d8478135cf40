package dns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// Presence is whether a key record is in the DNS, as far as it said so clearly.
type Presence uint8

const (
	Unknown Presence = iota // it could not be asked, or its servers differ
	There                   // the record is there, and verifies what the key signs
	Missing                 // there is no such record, another key's, or one that is not usable
)

func (p Presence) String() string {
	return [...]string{"unknown", "there", "missing"}[p]
}

// KeyAnswer is what the DNS says of the record of a key.
type KeyAnswer struct {
	Presence Presence
	Text     string // for people; with Unknown it says why
}

// Key asks whether the record of want stands at name, the whole name of a key
// record. What a cache has is good enough for it.
func Key(ctx context.Context, source Source, name string, want record.DKIM) KeyAnswer {
	answer, err := source.Lookup(ctx, name, dns.TypeTXT)
	return judgeKey(name, want, answer, err)
}

// KeyEverywhere asks all name servers of the zone that has the record, past all
// caches. It is There when all that answer have it, Missing when none has it, and
// Unknown when they differ. Where none of them can be reached it is what the
// resolver says.
func (r *Resolver) KeyEverywhere(ctx context.Context, name string, want record.DKIM, patience time.Duration) KeyAnswer {
	owner := name
	answer, err := r.Lookup(ctx, name, dns.TypeTXT)
	if err == nil {
		owner = answer.Owner()
	}
	cached := judgeKey(name, want, answer, err)
	for range maxChain {
		zone, err := r.NameServers(ctx, owner)
		if err != nil {
			return cached
		}
		said, elsewhere := zone.key(ctx, owner, want, patience, cached)
		if elsewhere == "" {
			return said
		}
		owner = elsewhere // a CNAME that the cache has not heard of
	}
	return KeyAnswer{Unknown, "its CNAMEs lead on and on"}
}

// key is KeyEverywhere for the name servers of the zone; cached is the answer of
// the resolver. Where all of them lead to another zone, it returns the name there.
func (zone *NameServers) key(ctx context.Context, owner string, want record.DKIM,
	patience time.Duration, cached KeyAnswer) (said KeyAnswer, elsewhere string) {
	var have, lack []string
	var last KeyAnswer
	targets := make(map[string]bool)
	for _, reply := range zone.Ask(ctx, owner, dns.TypeTXT, patience) {
		switch said := judgeKey(owner, want, reply.Answer, reply.Err); said.Presence {
		case There:
			have = append(have, reply.Server.String())
		case Missing:
			lack, last = append(lack, reply.Server.String()), said
			targets[reply.Answer.leads(zone.Zone)] = true
		}
	}
	switch {
	case len(have) == 0 && len(lack) == 0:
		return cached, ""
	case len(lack) == 0:
		return KeyAnswer{There, fmt.Sprintf("published at all %d name servers that answer", len(have))}, ""
	case len(have) > 0:
		return KeyAnswer{Unknown, "name servers differ: not yet at " + strings.Join(lack, ", ")}, ""
	case len(targets) == 1:
		for elsewhere := range targets {
			return last, elsewhere
		}
	}
	return KeyAnswer{Unknown, "name servers differ: some have a CNAME, or another one"}, ""
}

// leads returns where the CNAMEs of an answer lead out of the zone, and nothing
// where they do not.
func (a *Answer) leads(zone string) string {
	if owner := a.Owner(); !dns.IsSubDomain(dns.Fqdn(zone), dns.Fqdn(owner)) {
		return owner
	}
	return ""
}

func judgeKey(name string, want record.DKIM, answer *Answer, err error) KeyAnswer {
	if err != nil {
		return KeyAnswer{Unknown, err.Error()}
	}
	texts := answer.TXT()
	switch {
	case len(texts) == 0 && answer.NXDomain:
		return KeyAnswer{Missing, "no such name"}
	case len(texts) == 0:
		return KeyAnswer{Missing, "no TXT record at this name"}
	}
	for _, f := range record.LintDKIM(name, texts, want) {
		if f.Level == finding.Fault {
			return KeyAnswer{Missing, f.What}
		}
	}
	return KeyAnswer{There, "published"}
}
