// Package publish puts records of keys and policies into the DNS, and takes them away,
// where it is given the right to: by dynamic updates, through the API of a DNS provider,
// or by a program.
package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// Publisher puts key records into the DNS. An error leaves what was there, or
// names what it left; trying again is always right.
type Publisher interface {
	// Publish adds a TXT record, unless it is there, in place of one that revokes a
	// key. It fails where the name has another key's record: with two, verifiers
	// may take either (RFC 6376, section 3.6.2.2).
	Publish(ctx context.Context, name, value string, ttl time.Duration) error
	// Withdraw takes a key's TXT record away, if it is there, and what revokes one,
	// and puts another in its place unless that is empty.
	Withdraw(ctx context.Context, name, value, instead string, ttl time.Duration) error
	// Replace puts a TXT record that is not that of a key, such as a DMARC policy, in the
	// place of the old one, or where none is when that is empty. It fails where anything
	// else is at the name than was thought.
	Replace(ctx context.Context, name, old, value string, ttl time.Duration) error
}

// zones finds the zone that a name lies in, without the final dot.
type zones func(ctx context.Context, name string) (string, error)

// zonesOf asks the DNS, unless a zone is given.
func zonesOf(zone string, resolver *dns.Resolver) (zones, error) {
	if zone == "" {
		return resolver.Apex, nil
	}
	apex, err := absolute(zone)
	if err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	return func(context.Context, string) (string, error) { return strings.TrimSuffix(apex, "."), nil }, nil
}

func (z zones) find(ctx context.Context, name string) (string, error) {
	apex, err := z(ctx, name)
	if err != nil {
		return "", finding.WithHint(fmt.Errorf("looking for the zone of %s: %w", name, err), "name it with zone=")
	}
	if !miekg.IsSubDomain(miekg.Fqdn(apex), miekg.Fqdn(name)) {
		return "", finding.WithHint(fmt.Errorf("%s is not in the zone %s, so it is not changed", name, apex),
			"leave zone= out, or give the domains of that zone alone")
	}
	return apex, nil
}

// mayPublish looks whether value is among the texts at a name, and if not, whether
// it may take their place: nothing but a revoked key may be lost.
func mayPublish(value string, texts []string) (found bool, err error) {
	found, err = look(value, texts)
	others := slices.DeleteFunc(slices.Clone(texts), revoked)
	if err == nil && !found && len(others) > 0 {
		err = finding.WithHint(fmt.Errorf("another TXT record is there: %.60s", others[0]), "take it away first")
	}
	return found, err
}

// mayWithdraw looks whether the key's record, or one that revokes it, is among the
// texts at a name, and whether instead may take the place of all of them.
func mayWithdraw(value, instead string, texts []string) (found bool, err error) {
	found = slices.ContainsFunc(texts, func(text string) bool { return same(text, value) || revoked(text) })
	switch {
	case !found && instead == "":
		return false, nil
	case !found && len(texts) > 0:
		return false, finding.WithHint(fmt.Errorf("a TXT record that is not the key's is there: %q", texts[0]),
			"take it away first")
	case len(texts) > 1:
		return false, finding.WithHint(fmt.Errorf("%d TXT records are there", len(texts)),
			"take away that of the key yourself")
	}
	return found, nil
}

// same reports whether two texts are one, or two forms of one key's record.
func same(a, b string) bool {
	keyA, errA := record.ParseDKIM(a)
	keyB, errB := record.ParseDKIM(b)
	return a == b || errA == nil && errB == nil && len(keyA.PublicKey) > 0 &&
		bytes.Equal(keyA.PublicKey, keyB.PublicKey)
}

// revoked reports whether a text is the record of a revoked key (RFC 6376, section
// 3.6.1).
func revoked(text string) bool {
	key, err := record.ParseDKIM(text)
	return err == nil && len(key.PublicKey) == 0
}

// look finds value among the texts at a name. The error is for another key's record.
func look(value string, texts []string) (found bool, err error) {
	for _, text := range texts {
		_, err := record.ParseDKIM(text)
		switch {
		case same(text, value):
			found = true
		case err == nil && !revoked(text):
			return false, finding.WithHint(fmt.Errorf("another key's record is there: it begins with %.60q", text),
				"take it away first, for two at one name verify nothing")
		}
	}
	return found, nil
}

// replaced looks whether value may take the place of old, which must be the one TXT record
// at a name; without old there must be none. It reports whether value is there already.
func replaced(old, value string, texts []string) (done bool, err error) {
	switch {
	case len(texts) == 1 && texts[0] == value:
		return true, nil
	case old == "" && len(texts) == 0, old != "" && len(texts) == 1 && texts[0] == old:
		return false, nil
	case len(texts) == 0:
		return false, finding.WithHint(errors.New("the record that was to be replaced is gone"), "look again what is there")
	}
	return false, finding.WithHint(
		fmt.Errorf("%d TXT records are there, and not just the one that was to be replaced: %.60q",
			len(texts), texts[0]), "look again what is there")
}
