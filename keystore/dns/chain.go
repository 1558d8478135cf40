package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Chain is how a zone is signed: the link from its parent, and its keys.
type Chain struct {
	Zone string // its apex, without final dot
	DS   []*dns.DS
	Keys []*dns.DNSKEY

	keySet, soaSet []dns.RR // with their signatures
}

// ErrNotChecked says that the signatures of a zone cannot be checked from here: the
// resolver leaves them out, or no algorithm of theirs is known.
var ErrNotChecked = errors.New("the signatures cannot be checked from here")

// Chain looks up how the zone of a name is signed. What it returns is not validated:
// a resolver that keeps records back for their signatures is told not to.
func (r *Resolver) Chain(ctx context.Context, name string) (*Chain, error) {
	c := new(Chain)
	for apex := range Walk(Plain(name)) {
		soa, err := r.unchecked(ctx, apex, dns.TypeSOA)
		if err != nil {
			return nil, err
		}
		if len(recordsAt[*dns.SOA](soa, apex)) > 0 {
			c.Zone, c.soaSet = apex, soa.Answer
			break
		}
	}
	if c.Zone == "" {
		return nil, &LookupError{Name: Plain(name), Type: "SOA", Kind: Malformed, Err: errors.New("no zone holds the name")}
	}
	ds, err := r.unchecked(ctx, c.Zone, dns.TypeDS)
	if err != nil {
		return nil, err
	}
	keys, err := r.unchecked(ctx, c.Zone, dns.TypeDNSKEY)
	if err != nil {
		return nil, err
	}
	c.DS, c.Keys = recordsAt[*dns.DS](ds, c.Zone), recordsAt[*dns.DNSKEY](keys, c.Zone)
	c.keySet = keys.Answer
	return c, nil
}

func (r *Resolver) unchecked(ctx context.Context, name string, qtype uint16) (*response, error) {
	question, err := questionFor(name, qtype)
	if err != nil {
		return nil, err
	}
	return once(ctx, r.memory, asked{question, unchecked}, func() (*response, error) {
		return r.secure(ctx, question, true)
	})
}

// recordsAt returns the records of one type at a name.
func recordsAt[T dns.RR](reply *response, name string) (found []T) {
	for _, rr := range reply.Answer {
		if record, ok := rr.(T); ok && Plain(rr.Header().Name) == name {
			found = append(found, record)
		}
	}
	return found
}

// Broken says what makes a validator refuse the zone: that its DS records name none of
// its keys, or that those did not sign it, now (RFC 4035, section 5). It is nil when
// the chain from the DS records to the SOA record holds, and wraps ErrNotChecked when
// that cannot be known.
func (c *Chain) Broken(now time.Time) error {
	if len(c.DS) == 0 {
		return nil // not signed, for whoever comes from the parent
	}
	if len(c.Keys) == 0 {
		return errors.New("the zone above has DS records, and the zone has no DNSKEY record")
	}
	known := slices.ContainsFunc(c.DS, func(ds *dns.DS) bool { return canVerify(ds.Algorithm) && canHash(ds.DigestType) })
	if !known {
		return fmt.Errorf("%w: no known algorithm in its DS records", ErrNotChecked)
	}
	var entries []*dns.DNSKEY
	for _, key := range c.Keys {
		if slices.ContainsFunc(c.DS, func(ds *dns.DS) bool { return names(ds, key) }) {
			entries = append(entries, key)
		}
	}
	if len(entries) == 0 {
		return errors.New("the DS records in the zone above name none of its keys")
	}
	if err := signedBy(c.keySet, dns.TypeDNSKEY, c.Zone, entries, now); err != nil {
		return err
	}
	return signedBy(c.soaSet, dns.TypeSOA, c.Zone, c.Keys, now)
}

func canVerify(algorithm uint8) bool {
	switch algorithm {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256,
		dns.ECDSAP384SHA384, dns.ED25519:
		return true
	}
	return false
}

func canHash(digest uint8) bool {
	return digest == dns.SHA1 || digest == dns.SHA256 || digest == dns.SHA384
}

// names reports whether a DS record is for a key that may sign (RFC 4034, section 5.2).
func names(ds *dns.DS, key *dns.DNSKEY) bool {
	if !signs(key) || ds.Algorithm != key.Algorithm || ds.KeyTag != key.KeyTag() || !canHash(ds.DigestType) {
		return false
	}
	want := key.ToDS(ds.DigestType)
	return want != nil && strings.EqualFold(want.Digest, ds.Digest)
}

func signs(key *dns.DNSKEY) bool {
	return key.Flags&dns.ZONE != 0 && key.Flags&dns.REVOKE == 0 && key.Protocol == 3
}

// mostSignatures bounds the work that a zone can cause.
const mostSignatures = 16

// signedBy looks for a good signature by one of some keys over the records of a type.
func signedBy(records []dns.RR, qtype uint16, zone string, keys []*dns.DNSKEY, now time.Time) error {
	var set []dns.RR
	var signatures []*dns.RRSIG
	for _, rr := range records {
		if signature, ok := rr.(*dns.RRSIG); ok && signature.TypeCovered == qtype && len(signatures) < mostSignatures &&
			Plain(signature.SignerName) == zone {
			signatures = append(signatures, signature)
		} else if rr.Header().Rrtype == qtype && Plain(rr.Header().Name) == zone {
			set = append(set, rr)
		}
	}
	kind := dns.TypeToString[qtype]
	if len(signatures) == 0 {
		return fmt.Errorf("%w: no signature over the %s record came with it", ErrNotChecked, kind)
	}
	failed := fmt.Errorf("no signature over its %s record is by a key of the zone that counts", kind)
	for _, signature := range signatures {
		for _, key := range keys {
			if !signs(key) || key.KeyTag() != signature.KeyTag || key.Algorithm != signature.Algorithm {
				continue
			}
			switch {
			case !canVerify(key.Algorithm):
				failed = fmt.Errorf("%w: algorithm %d is not known", ErrNotChecked, key.Algorithm)
			case signature.Verify(key, set) != nil:
				failed = fmt.Errorf("the signature over its %s record does not match it", kind)
			case !signature.ValidityPeriod(now):
				failed = fmt.Errorf("the signature over its %s record is good from %s to %s only", kind,
					moment(signature.Inception), moment(signature.Expiration))
			default:
				return nil
			}
		}
	}
	return failed
}

// moment shows a time of an RRSIG record.
func moment(seconds uint32) string {
	return time.Unix(int64(seconds), 0).UTC().Format("2006-01-02 15:04 MST")
}
