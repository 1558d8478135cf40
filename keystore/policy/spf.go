package policy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// Result is what SPF says of a sender (RFC 7208, section 2.6).
type Result string

// Results of SPF.
const (
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail"
	Neutral   Result = "neutral"
	None      Result = "none"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Evaluation is the result of SPF for a client and a sender.
type Evaluation struct {
	Result Result
	Sender string // who was checked: MAIL FROM, or postmaster at the HELO name
	Domain string // of Sender, in A-labels: where the policy stands
	Record string // the SPF record there; empty when there is none
	// Term is the one that decided, without its qualifier. Where it stands in
	// another record, the way there comes first: "include:_spf.example.net
	// ip4:192.0.2.0/24". Empty when no term matched or none could be read.
	Term string
	// Lookups counts the terms that looked something up before the decision,
	// and Void those of them that found nothing. One more than allowed means
	// that the evaluation ended there.
	Lookups, Void int
	// Err says why with temperror and permerror, and with none where that is
	// not just a missing record. A temperror holds the *dns.LookupError.
	Err error
}

// SPF evaluates the policy of the sender of a message (RFC 7208): ip is the
// client, helo what it called itself, mailFrom the address in MAIL FROM. An
// empty mailFrom stands for a bounce: then postmaster@helo is checked (section
// 2.4).
func SPF(ctx context.Context, source dns.Source, ip netip.Addr, helo, mailFrom string) Evaluation {
	local, domain := "", helo
	if at := strings.LastIndexByte(mailFrom, '@'); at >= 0 {
		local, domain = mailFrom[:at], mailFrom[at+1:]
	}
	if local == "" {
		local = "postmaster" // section 4.3
	}
	r := Evaluation{Sender: local + "@" + domain}
	ascii, err := spfDomain(domain)
	if err != nil {
		r.Result, r.Domain, r.Err = None, domain, fmt.Errorf("%q %w", domain, err) // section 4.3
		return r
	}
	r.Domain = ascii
	e := &spfEvaluation{
		ctx: ctx, source: source, ip: ip.Unmap().WithZone(""),
		local: tail(local), domain: ascii, helo: tail(strings.TrimSuffix(helo, ".")),
	}
	r.Result, r.Term, r.Err = e.check(ascii)
	r.Record, r.Lookups, r.Void = e.record, e.lookups, e.void
	return r
}

// spfDomain returns the domain to check in A-labels, or what keeps it from
// being one (RFC 7208, section 4.3).
func spfDomain(domain string) (string, error) {
	if domain == "" {
		return "", errors.New("is empty: nobody named a domain")
	}
	ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.CheckHyphens(false)).ToASCII(domain)
	ascii = strings.TrimSuffix(ascii, ".")
	if err != nil || strings.ContainsAny(ascii, "[]:@ ") {
		return "", errors.New("is not a domain name")
	}
	if !strings.Contains(ascii, ".") {
		return "", errors.New("has only one label")
	}
	if err := record.EachLabel(ascii, func(string) error { return nil }); err != nil {
		return "", fmt.Errorf("is not a domain name: %w", err)
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", errors.New("is an address")
	}
	return ascii, nil
}
