package milter

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"signpost/keystore"
	"signpost/keystore/dns"
)

// Reason says why a message was or was not signed. It stands in the log and
// names the counter.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	UntrustedClient Reason = "untrusted-client"
	HeaderTooLarge  Reason = "header-too-large"
	FromMissing     Reason = "from-missing"
	FromMultiple    Reason = "from-multiple"
	FromInvalid     Reason = "from-invalid"
	NoKey           Reason = "no-key"
	KeyBroken       Reason = "key-broken"
	SignFailed      Reason = "sign-failed"
	Signed          Reason = "signed"
)

// Client is who submits a message.
type Client struct {
	Addr  netip.Addr // invalid when the MTA did not tell
	Local bool       // submitted on the host itself: sendmail(1), or a unix socket
	Login string     // {auth_authen}, empty without SMTP AUTH
}

// String names the client for the log.
func (c Client) String() string {
	name := "unknown"
	switch {
	case c.Local:
		name = "local"
	case c.Addr.IsValid():
		name = c.Addr.String()
	}
	if c.Login != "" {
		name += " (" + c.Login + ")"
	}
	return name
}

// Rules say who gets signed. They are immutable.
type Rules struct {
	// Trusted are the networks whose clients are signed without a login.
	Trusted []netip.Prefix
	// MustSign are the domains, as A-labels, whose mail is deferred
	// rather than sent unsigned.
	MustSign map[string]bool
	// Subdomains lets the key of a domain sign for what is below it.
	Subdomains bool
}

// KeySource returns the keys that sign for a domain given as A-labels, lower case:
// RSA first. The error is keystore.ErrNoKey when there is no key for it, and says what
// is wrong when there is one and none is usable.
type KeySource func(domain string) ([]*keystore.Key, error)

// Verdict is what happens to a message.
type Verdict struct {
	Reason   Reason
	TempFail bool            // defer it, rather than let it go unsigned
	Author   string          // author domain as A-labels, where known
	Keys     []*keystore.Key // that sign; none unless the reason is Signed
	Err      error           // what is wrong, where something is
}

// Decide applies the rules to a message with the values of its From fields: the
// first reason that applies counts. No other header field is looked at.
func (r *Rules) Decide(client Client, from []string, keys KeySource) Verdict {
	author, reason, err := authorDomain(from)
	switch {
	case !r.trusts(client):
		return Verdict{Reason: UntrustedClient, Author: author}
	case reason != "":
		return Verdict{Reason: reason, Author: author, Err: err}
	}
	signing, must, err := r.Keys(author, keys)
	switch {
	case err == nil:
		return Verdict{Reason: Signed, Author: author, Keys: signing}
	case !errors.Is(err, keystore.ErrNoKey):
		// A key is there, so its owner means this mail to be signed.
		return Verdict{Reason: KeyBroken, TempFail: true, Author: author, Err: err}
	case must:
		return Verdict{Reason: NoKey, TempFail: true, Author: author,
			Err: fmt.Errorf("no key for %s, and its mail must be signed", author)}
	}
	return Verdict{Reason: NoKey, Author: author}
}

// Keys returns the keys that sign for an author domain: its own or, with
// Subdomains, those of the nearest domain above it that has any. The error is
// that of the source; must says whether mail may not go without them.
func (r *Rules) Keys(author string, keys KeySource) (signing []*keystore.Key, must bool, err error) {
	for name := range dns.Walk(author) {
		must = must || r.MustSign[name]
		if signing, err = keys(name); !errors.Is(err, keystore.ErrNoKey) || !r.Subdomains {
			break
		}
	}
	return signing, must, err
}

// Covering returns the domain that an author domain falls under: itself or, with
// Subdomains, the nearest above it, that the keys name or that must be signed.
func (r *Rules) Covering(author string, keys KeySource) (string, bool) {
	for name := range dns.Walk(author) {
		if _, err := keys(name); r.MustSign[name] || !errors.Is(err, keystore.ErrNoKey) {
			return name, true
		}
		if !r.Subdomains {
			break
		}
	}
	return "", false
}

func (r *Rules) trusts(client Client) bool {
	return client.Login != "" || client.Local || within(r.Trusted, client.Addr)
}

func isFrom(name []byte) bool {
	return len(name) >= len("From") && name[0]|0x20 == 'f' && bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("From"))
}

// authorDomain returns the author domain as A-labels, or the reason why there
// is none. Several addresses are all right while they share their domain.
func authorDomain(from []string) (string, Reason, error) {
	switch len(from) {
	case 0:
		return "", FromMissing, nil
	case 1:
	default:
		return "", FromMultiple, fmt.Errorf("%d From fields", len(from))
	}
	domains, err := AuthorDomains(from[0])
	if err != nil {
		return "", FromInvalid, fmt.Errorf("from field: %w", err)
	}
	author := ""
	for _, name := range domains {
		domain, err := keystore.Domain(name)
		if single, selErr := keystore.Selector(name); err != nil && selErr == nil && !strings.Contains(single, ".") {
			domain, err = single, nil // "localhost": valid, but never with a key
		}
		switch {
		case err != nil:
			return "", FromInvalid, fmt.Errorf("from field: %w", err)
		case author != "" && author != domain:
			return "", FromMultiple, fmt.Errorf("from field has addresses in %s and %s", author, domain)
		}
		author = domain
	}
	return author, "", nil
}
