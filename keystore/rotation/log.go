package rotation

import (
	"context"
	"log/slog"
	"slices"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/record"
)

func (b *Book) logSigners(domain string, was, now *page) {
	if before, after := was.selectors(), now.selectors(); before != "" && after != "" && before != after {
		b.log.Info("signing keys changed", "domain", domain, "before", before, "now", after)
	}
}

// many is how many domains have to be there for what is as it should be not to be
// logged one by one.
const many = 1000

// logPresence logs that the DNS says something else of a key than before.
func (b *Book) logPresence(now *page, key *keystore.Key, before dns.Presence, answer dns.KeyAnswer) {
	attrs := []any{"domain", key.Domain, "selector", key.Selector}
	signs := slices.ContainsFunc(now.signing, key.Equal)
	if answer.Presence == dns.There {
		level := slog.LevelInfo
		if before == dns.Unknown && signs && b.store.Snapshot().Len() > many {
			level = slog.LevelDebug
		}
		b.log.Log(context.Background(), level, "key is published", append(attrs, "dns", answer.Text)...)
		return
	}
	attrs = append(attrs, "name", record.Name(key.Selector, key.Domain), "dns", answer.Text)
	if want, err := record.ForKey(key.Signer.Public()); err == nil {
		attrs = append(attrs, "value", want.String())
	}
	if key.Shared {
		b.logUnproven(now, key, before, attrs)
		return
	}
	hint := func(text string) []any { return append(attrs, "hint", text) }
	switch {
	case signs && before == dns.There:
		b.log.Error("the record of the signing key is gone, and no other key is published, so its mail cannot be verified",
			hint("publish it again")...)
	case signs:
		b.log.Warn("the signing key is not published, so its mail cannot be verified", hint("publish its record")...)
	case before == dns.There:
		b.log.Warn("the record of a key is gone", attrs...)
	default:
		b.log.Info("key waits until its record is published", hint("publish it")...)
	}
}

// logUnproven logs that the record of a shared key is not there. Of domains that anybody
// may put into mail, that is nothing to tell all about: the message's own line says it.
func (b *Book) logUnproven(now *page, key *keystore.Key, before dns.Presence, attrs []any) {
	switch {
	case before != dns.There:
		b.log.Debug("the shared key waits until the domain publishes it", attrs...)
	case len(now.signing) == 0:
		b.log.Error("the record of the shared key is gone, so the domain has no key",
			append(attrs, "hint", "have it published again")...)
	default:
		b.log.Warn("the record of a shared key is gone", attrs...)
	}
}
