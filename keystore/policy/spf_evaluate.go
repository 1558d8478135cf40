package policy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// spfEvaluation is check_host() of RFC 7208, section 4, for one client and
// sender.
type spfEvaluation struct {
	ctx                 context.Context
	source              dns.Source
	ip                  netip.Addr
	local, domain, helo string // domain is that of the sender

	record  string // at domain
	lookups int    // terms that looked something up
	void    int    // lookups that found nothing

	named bool // names were looked up
	names []string
}

// check evaluates the policy of a domain. The term is the one that decided, as
// in Evaluation; the error says why it ends with temperror or permerror.
func (e *spfEvaluation) check(domain string) (Result, string, error) {
	spf, found, err := e.policyOf(domain)
	if err != nil {
		return broken(err)
	}
	if !found {
		return None, "", nil
	}
	var redirect string
	for _, t := range spf.Terms {
		if t.Modifier {
			if t.Name == "redirect" {
				redirect = t.Value
			}
			continue // exp= explains to the sender; others are for others (section 6)
		}
		matches, within, err := e.matches(t, domain)
		if err != nil {
			return broken(err)
		}
		if matches {
			result := map[string]Result{"-": Fail, "~": SoftFail, "?": Neutral}[t.Qualifier]
			if result == "" {
				result = Pass
			}
			t.Qualifier = ""
			return result, strings.TrimSpace(t.String() + " " + within), nil
		}
	}
	if redirect == "" {
		return Neutral, "", nil // section 4.7
	}
	// Section 6.1.
	result, within, err := e.other(redirect, domain)
	if err != nil {
		return broken(err)
	}
	return result, strings.TrimSpace("redirect=" + redirect + " " + within), nil
}

// broken is how an evaluation ends that cannot go on: a DNS that does not
// answer is temporary, all else is in the records (section 2.6).
func broken(err error) (Result, string, error) {
	var failed *dns.LookupError
	if errors.As(err, &failed) {
		return TempError, "", failed
	}
	return PermError, "", err
}

// policyOf returns the one SPF record at a domain. All of it must be valid
// before a term is looked at (section 4.6).
func (e *spfEvaluation) policyOf(domain string) (spf record.SPF, found bool, err error) {
	answer, err := e.ask(domain, miekg.TypeTXT)
	if err != nil {
		return record.SPF{}, false, err
	}
	for _, txt := range answer.TXT() {
		text := txt.Text()
		parsed, err := record.ParseSPF(text)
		if errors.Is(err, record.ErrNotSPF) {
			continue
		}
		if found {
			return record.SPF{}, false, fmt.Errorf("%s has more than one SPF record", domain)
		}
		if e.record == "" {
			e.record = text
		}
		if err != nil {
			return record.SPF{}, false, fmt.Errorf("the record at %s: %w", domain, err)
		}
		spf, found = parsed, true
	}
	return spf, found, nil
}

// other evaluates the policy of the domain that an include or a redirect names.
// Its errors are those of the whole, and so is that there is no policy.
func (e *spfEvaluation) other(spec, domain string) (Result, string, error) {
	target, err := e.looksUp(spec, domain)
	if err != nil {
		return "", "", err
	}
	result, within, err := e.check(target)
	if result == None {
		err = fmt.Errorf("%s has no SPF record, and another one includes it or redirects there", target)
	}
	return result, within, err
}

// looksUp counts a term that looks something up, and returns the name.
func (e *spfEvaluation) looksUp(spec, domain string) (string, error) {
	e.lookups++
	if e.lookups > record.MaxLookups { // section 4.6.4
		return "", fmt.Errorf("more than %d terms look something up, which is all that RFC 7208 allows",
			record.MaxLookups)
	}
	if spec == "" {
		return domain, nil
	}
	return e.expand(spec, domain), nil
}

// found counts a lookup that finds nothing (section 4.6.4).
func (e *spfEvaluation) found(n int) error {
	if n == 0 {
		e.void++
	}
	if e.void > record.MaxVoid {
		return fmt.Errorf("more than %d lookups find nothing, which is all that RFC 7208 allows", record.MaxVoid)
	}
	return nil
}

// ask looks up. A name that the DNS cannot hold does not exist (section 4.8).
func (e *spfEvaluation) ask(name string, qtype uint16) (*dns.Answer, error) {
	answer, err := e.source.Lookup(e.ctx, name, qtype)
	var failed *dns.LookupError
	if errors.As(err, &failed) && failed.Kind == dns.BadName {
		return new(dns.Answer), nil
	}
	return answer, err
}

// addresses looks up addresses of the client's family (section 5).
func (e *spfEvaluation) addresses(name string) ([]netip.Addr, error) {
	qtype := miekg.TypeA
	if e.ip.Is6() {
		qtype = miekg.TypeAAAA
	}
	answer, err := e.ask(name, qtype)
	if err != nil {
		return nil, err
	}
	return answer.Addrs(), nil
}
