package milter

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"signpost/keystore"
	"signpost/milter/dkim"
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

func reasons() []Reason {
	return []Reason{UntrustedClient, HeaderTooLarge, FromMissing, FromMultiple, FromInvalid,
		NoKey, KeyBroken, SignFailed, Signed}
}

// Client is who submits a message.
type Client struct {
	Addr  netip.Addr // invalid when the MTA did not tell
	Local bool       // submitted on the host itself: sendmail(1), or a unix socket
	Login string     // {auth_authen}, empty without SMTP AUTH
}

// Rules say who gets signed. They are immutable.
type Rules struct {
	// Trusted are the networks whose clients are signed without a login.
	Trusted []netip.Prefix
	// MustSign are the domains, as A-labels, whose mail is refused for now
	// rather than sent unsigned.
	MustSign map[string]bool
	// Subdomains lets the key of a domain sign for what is below it.
	Subdomains bool
}

// Verdict is what happens to a message.
type Verdict struct {
	Reason   Reason
	TempFail bool            // refuse it for now, rather than let it go unsigned
	Author   string          // author domain as A-labels, where known
	Keys     []*keystore.Key // that sign; none unless the reason is Signed
	Err      error           // what is wrong, where something is
}

// Decide applies the rules to a message: the first reason that applies counts.
// It never looks at other header fields than From.
func (r *Rules) Decide(client Client, header []dkim.Field, keys *keystore.Snapshot) Verdict {
	author, reason, err := authorDomain(header)
	switch {
	case !r.trusts(client):
		return Verdict{Reason: UntrustedClient, Author: author}
	case reason != "":
		return Verdict{Reason: reason, Author: author, Err: err}
	}
	for name := author; ; {
		signing, err := keys.Signing(name)
		if err == nil {
			return Verdict{Reason: Signed, Author: author, Keys: signing}
		}
		if !errors.Is(err, keystore.ErrNoKey) {
			// A key is there, so its owner means this mail to be signed.
			return Verdict{Reason: KeyBroken, TempFail: true, Author: author, Err: err}
		}
		if r.MustSign[name] {
			return Verdict{Reason: NoKey, TempFail: true, Author: author,
				Err: fmt.Errorf("no key for %s, which is one of the domains that must be signed", name)}
		}
		_, parent, ok := strings.Cut(name, ".")
		if !r.Subdomains || !ok {
			return Verdict{Reason: NoKey, Author: author}
		}
		name = parent
	}
}

func (r *Rules) trusts(client Client) bool {
	if client.Login != "" || client.Local {
		return true
	}
	addr := client.Addr.Unmap().WithZone("")
	for _, prefix := range r.Trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// authorDomain returns the author domain as A-labels, or the reason why there
// is none. Several addresses are all right while they share their domain.
func authorDomain(header []dkim.Field) (string, Reason, error) {
	from, count := "", 0
	for _, field := range header {
		if strings.EqualFold(strings.TrimRight(field.Name, " \t"), "From") {
			from = field.Value
			count++
		}
	}
	switch {
	case count == 0:
		return "", FromMissing, nil
	case count > 1:
		return "", FromMultiple, fmt.Errorf("%d From fields", count)
	}
	domains, err := authorDomains(from)
	if err != nil {
		return "", FromInvalid, fmt.Errorf("from field: %w", err)
	}
	author := ""
	for _, name := range domains {
		domain, err := keystore.Domain(name)
		if err != nil && !strings.Contains(name, ".") && !strings.Contains(name, "[") {
			domain, err = strings.ToLower(name), nil // "localhost": valid, but never with a key
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
