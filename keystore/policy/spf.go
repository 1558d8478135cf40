package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"signpost/keystore/dns"
	"signpost/keystore/record"

	"blitiri.com.ar/go/spf"
	"golang.org/x/net/idna"
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
	ip = ip.Unmap().WithZone("")
	e := &spfEvaluation{source: source, ip: ip, domain: ascii}
	// The library cuts an address at its first "@"; a quoted local part may
	// have one, and no name to look up can.
	sender := strings.ReplaceAll(local, "@", "_") + "@" + ascii
	result, err := spf.CheckHostWithSender(net.IP(ip.AsSlice()), strings.TrimSuffix(helo, "."), sender,
		spf.WithContext(ctx), spf.WithResolver(e), spf.WithTraceFunc(e.trace))
	r.Result, r.Record = Result(result), e.record
	r.Lookups, r.Void = e.lookups, e.void
	switch result {
	case spf.TempError:
		r.Err = err
		if e.failed != nil {
			r.Err = e.failed
		}
	case spf.PermError:
		r.Err = e.inWords(err)
		if errors.Is(err, spf.ErrLookupLimitReached) {
			r.Lookups++
		}
	case spf.None:
	default:
		r.Term = e.path()
	}
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
	if err != nil || strings.ContainsAny(ascii, "[]:@ ") || len(ascii) > 253 {
		return "", errors.New("is not a domain name")
	}
	if !strings.Contains(ascii, ".") {
		return "", errors.New("has only one label")
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 {
			return "", errors.New("has an empty label, or one over 63 characters")
		}
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", errors.New("is an address")
	}
	return ascii, nil
}

// inWords says what makes an evaluation end with permerror.
func (e *spfEvaluation) inWords(err error) error {
	at := e.at
	if at == "" {
		at = e.domain
	}
	switch {
	case errors.Is(err, spf.ErrLookupLimitReached):
		return fmt.Errorf("more than %d terms look something up, which is all that RFC 7208 allows", record.MaxLookups)
	case errors.Is(err, spf.ErrVoidLookupLimitReached):
		return fmt.Errorf("more than %d lookups find nothing, which is all that RFC 7208 allows", record.MaxVoid)
	case errors.Is(err, spf.ErrTooManyMXRecords):
		return fmt.Errorf("mx at %s finds over 10 mail exchangers", at)
	case errors.Is(err, spf.ErrMultipleRecords):
		return fmt.Errorf("%s has more than one SPF record", at)
	case errors.Is(err, spf.ErrNoResult):
		return fmt.Errorf("%s has no SPF record, and another one includes it or redirects there", at)
	}
	return fmt.Errorf("the record at %s: %w", at, err)
}
