package milter

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/milter/logins"
)

// Reason says why a message was or was not signed. It stands in the log and
// names the counter.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	UntrustedClient Reason = "untrusted-client"
	HeaderTooLarge  Reason = "header-too-large"
	MemoryLimit     Reason = "memory-limit"
	FromMissing     Reason = "from-missing"
	LoginMismatch   Reason = "login-mismatch"
	FromMultiple    Reason = "from-multiple"
	FromInvalid     Reason = "from-invalid"
	FromAmbiguous   Reason = "from-ambiguous"
	NoKey           Reason = "no-key"
	KeyBroken       Reason = "key-broken"
	KeyUnknown      Reason = "key-unknown"
	RelayKey        Reason = "relay-key"
	SignFailed      Reason = "sign-failed"
	LineTooLong     Reason = "line-too-long"
	Signed          Reason = "signed"
)

// Client is who submits a message.
type Client struct {
	Addr  netip.Addr // invalid when the MTA did not tell
	Local bool       // submitted on the host itself: sendmail(1), or a unix socket
	Login string     // {auth_authen}, empty without SMTP AUTH
	// Notice is a local one with the sender that Postfix gives to mail of its own: a bounce,
	// or a notice to the postmaster. Only its From tells whether it is one.
	Notice bool
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

// Rules say who gets signed. They are immutable, but for the files of Logins.
type Rules struct {
	// Trusted are the networks whose clients are signed without a login.
	Trusted []netip.Prefix
	// MustSign are the domains, as A-labels, whose mail is never sent unsigned.
	MustSign map[string]bool
	// Subdomains lets the key of a domain sign for what is below it.
	Subdomains bool
	// Also signs mail of all author domains, or of those without a key.
	Also Also
	// DeferUnsignable defers what has to be signed and never can be, for its From
	// fields, where else it is refused.
	DeferUnsignable bool
	// Logins say which SASL logins own an author's address. Mail of a login that does not is
	// rejected; clients without a login are not asked. Nil lets every login use every address.
	Logins *logins.Maps
	// LongLines is what to do with a message whose signature a long line breaks on
	// delivery: Accept signs it all the same. A warning is logged whatever it is.
	LongLines Action
}

// KeySource returns the keys that sign for a domain given as A-labels, lower case:
// RSA first. The error is keystore.ErrNoKey when there is no key for it, and says what
// is wrong when there is one and none is usable.
type KeySource func(domain string) ([]*keystore.Key, error)

// Action is how the MTA is answered.
type Action int

// The actions, as libmilter names them (SMFIS_...).
const (
	Accept   Action = iota
	TempFail        // the message is deferred rather than sent unsigned
	Reject          // the same where trying again is of no use
)

// Verdict is what happens to a message.
type Verdict struct {
	Reason Reason
	Action Action
	Author string          // author domain as A-labels, where known
	Keys   []*keystore.Key // that sign, those of Also last; none unless the reason is Signed
	Err    error           // what is wrong, where something is
	// Keyless says that the author domain has no key, whether or not another signs.
	Keyless bool
	// AlsoErr is why the keys of Also do not sign beside those of the author domain.
	AlsoErr error
}

// Decide applies the rules to a message with the values of its From fields: the
// first reason that applies counts. No other header field is looked at.
func (r *Rules) Decide(client Client, from []string, keys KeySource) Verdict {
	v := r.decide(client, from, keys)
	if v.lasts() && client.isNotice(from) {
		v.Action = Accept
	}
	return v
}

func (r *Rules) decide(client Client, from []string, keys KeySource) Verdict {
	author, reason, err := AuthorDomain(from)
	if !r.trusts(client) {
		return Verdict{Reason: UntrustedClient, Author: author}
	}
	if domain, err := r.misuse(client.Login, from); err != nil {
		return Verdict{Reason: LoginMismatch, Action: Reject, Author: domain, Err: err}
	}
	if reason != "" {
		return r.unsignable(reason, err, from, keys)
	}
	signing, must, err := r.Keys(author, keys)
	switch {
	case err == nil:
		return r.beside(Verdict{Reason: Signed, Author: author, Keys: signing}, keys)
	case errors.Is(err, keystore.ErrNoAnswer):
		return Verdict{Reason: KeyUnknown, Action: TempFail, Author: author, Err: err}
	case !errors.Is(err, keystore.ErrNoKey):
		// A key is there, so its owner means this mail to be signed.
		return Verdict{Reason: KeyBroken, Action: TempFail, Author: author, Err: err}
	case must:
		return Verdict{Reason: NoKey, Action: TempFail, Author: author, Keyless: true, Err: mustSign(author, err)}
	case r.Also.Domain != "":
		return r.instead(Verdict{Author: author, Keyless: true}, keys)
	}
	return Verdict{Reason: NoKey, Author: author, Keyless: true, Err: more(err)}
}

// mustSign says why mail that must be signed is not, for want of a key.
func mustSign(author string, why error) error {
	if why = more(why); why != nil {
		return fmt.Errorf("no key for %s, and its mail must be signed: %w", author, why)
	}
	return fmt.Errorf("no key for %s, and its mail must be signed", author)
}

// more returns the error if it says more than that there is no key.
func more(err error) error {
	if errors.Unwrap(err) == nil {
		return nil
	}
	return err
}

// unsignable is the verdict on a message whose From fields have no author domain. If any
// program might show a domain there that has a key or must be signed, it does not pass.
func (r *Rules) unsignable(reason Reason, why error, from []string, keys KeySource) Verdict {
	v := Verdict{Reason: reason, Err: why}
	if reason == FromMissing {
		return v
	}
	names, whole := namedDomains(from)
	for _, name := range names {
		domain, ok := r.Covering(name, keys)
		if _, err := keys(domain); ok && errors.Is(err, keystore.ErrNoAnswer) && !r.MustSign[domain] {
			v.Author, v.Action = name, TempFail
			v.Err = fmt.Errorf("whether mail of %s must be signed is not known (%w), and it cannot be: %w", domain, err, why)
		} else if ok {
			v.Author, v.Action = name, Reject
			v.Err = fmt.Errorf("mail of %s must be signed and cannot be: %w", domain, why)
			break
		}
	}
	switch {
	case v.Action == TempFail, v.Author == "" && whole:
		return v
	case v.Author == "":
		v.Err = fmt.Errorf("the From fields are too large, or in too odd a charset, to tell whose mail it is: %w", why)
	}
	if v.Action = Reject; r.DeferUnsignable {
		v.Action = TempFail
	}
	return v
}

// Keys returns the keys that sign for an author domain: its own or, with
// Subdomains, those of the nearest domain above it that has any. The error is
// that of the source, of the author domain where none has any; must says whether mail may not go without them.
func (r *Rules) Keys(author string, keys KeySource) (signing []*keystore.Key, must bool, err error) {
	for name := range dns.Walk(author) {
		must = must || r.MustSign[name]
		found, why := keys(name)
		if err == nil || !errors.Is(why, keystore.ErrNoKey) {
			signing, err = found, why
		}
		if !errors.Is(why, keystore.ErrNoKey) || !r.Subdomains {
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
	return client.Login != "" || client.Local || Within(r.Trusted, client.Addr)
}

// isFrom reports whether a field is From. White space may stand before the colon (RFC
// 5322, section 4.5), where many programs see no From field and some do.
func isFrom(name []byte) bool {
	return len(name) >= len("From") && name[0]|0x20 == 'f' && bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("From"))
}

// hidesFrom reports whether a field of another name has a line within that begins as a
// From field does, where no line should: after a CR or LF that does not fold. Some
// programs see a field there. AuthorDomain makes nothing of such a value.
func hidesFrom(value []byte) bool {
	for {
		i := bytes.IndexAny(value, "\r\n")
		if i < 0 {
			return false
		}
		value = value[i+1:]
		// A colon further on is not looked for: each of very many lines may begin so.
		const name = "From"
		if len(value) > len(name) && value[0]|0x20 == 'f' && bytes.EqualFold(value[:len(name)], []byte(name)) &&
			bytes.HasPrefix(bytes.TrimLeft(value[len(name):], " \t"), []byte(":")) {
			return true
		}
	}
}
