package policy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"
	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// spfEvaluation stands between the SPF library and the DNS for one check. It
// answers from our source, counts, and keeps what the library does not tell.
//
// The library reads a record term by term. RFC 7208, section 4.6, wants all of
// it valid first, so a record is parsed here before the library gets it.
type spfEvaluation struct {
	source dns.Source
	ip     netip.Addr
	domain string

	record  string         // at domain
	at      string         // whose record is being read
	reads   int            // how many were asked for
	lookups int            // terms that looked something up
	void    int            // of them, those that found nothing
	aside   map[string]int // lookups to come that belong to an mx or ptr term
	failed  error          // the lookup that failed
	events  []spfEvent
}

// spfEvent is a record that the library starts to read, or a term with a result.
type spfEvent struct {
	term  string // empty for a record
	check bool
}

// LookupTXT returns the SPF records at name; others do not matter.
func (e *spfEvaluation) LookupTXT(ctx context.Context, name string) ([]string, error) {
	e.reads++
	e.at = dns.Plain(name)
	if e.reads > 1 {
		e.lookups++ // an include or a redirect
	}
	answer, err := e.ask(ctx, name, miekg.TypeTXT)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, txt := range answer.TXT() {
		text := txt.Text()
		_, err := record.ParseSPF(text)
		if errors.Is(err, record.ErrNotSPF) {
			continue
		}
		if e.reads == 1 {
			e.record = text
		}
		if err != nil {
			return nil, err // neither temporary nor "not found": permerror
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// LookupMX is called by an mx term, which then looks up each of the hosts.
func (e *spfEvaluation) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	e.lookups++
	answer, err := e.ask(ctx, name, miekg.TypeMX)
	if err != nil {
		return nil, err
	}
	e.aside = make(map[string]int)
	var hosts []*net.MX
	for _, rr := range answer.Records {
		if mx, ok := rr.(*miekg.MX); ok {
			hosts = append(hosts, &net.MX{Host: mx.Mx, Pref: mx.Preference})
			e.aside[mx.Mx]++
		}
	}
	e.countVoid(len(hosts))
	return hosts, nil
}

// LookupAddr is called by a ptr term, which then looks up each of the names.
func (e *spfEvaluation) LookupAddr(ctx context.Context, address string) ([]string, error) {
	e.lookups++
	name, err := miekg.ReverseAddr(address)
	if err != nil {
		return nil, err
	}
	answer, err := e.ask(ctx, name, miekg.TypePTR)
	if err != nil {
		return nil, err
	}
	e.aside = make(map[string]int)
	var names []string
	for _, rr := range answer.Records {
		if ptr, ok := rr.(*miekg.PTR); ok {
			names = append(names, ptr.Ptr)
			e.aside[ptr.Ptr]++
		}
	}
	e.countVoid(len(names))
	return names, nil
}

// LookupIPAddr is called by an a or exists term, and for what mx and ptr found.
// RFC 7208, section 5, wants addresses of the client's family alone, but
// exists always wants IPv4 ones (section 5.7), and who calls is not known: with
// an IPv6 client, a name that has only IPv4 addresses is not counted as void.
func (e *spfEvaluation) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	ofTerm := e.aside[name] == 0
	if ofTerm {
		e.lookups++
	} else {
		e.aside[name]--
	}
	if name == "." { // an MX that says there is none (RFC 7505)
		return nil, nil
	}
	types := []uint16{miekg.TypeA}
	if e.ip.Is6() {
		types = append(types, miekg.TypeAAAA)
	}
	var addresses []net.IPAddr
	for _, qtype := range types {
		answer, err := e.ask(ctx, name, qtype)
		if err != nil {
			return nil, err
		}
		for _, rr := range answer.Records {
			switch rr := rr.(type) {
			case *miekg.A:
				addresses = append(addresses, net.IPAddr{IP: rr.A})
			case *miekg.AAAA:
				addresses = append(addresses, net.IPAddr{IP: rr.AAAA})
			}
		}
	}
	if ofTerm {
		e.countVoid(len(addresses))
	}
	return addresses, nil
}

// countVoid counts as the library does, which sees the same numbers.
func (e *spfEvaluation) countVoid(found int) {
	if found == 0 {
		e.void++
	}
}

// ask looks up. A failure is told as the library knows it: temporary, which no
// answer that says "there is nothing" ever is (RFC 7208, section 2.6.6). A
// name that the DNS cannot hold does not exist (section 4.8).
func (e *spfEvaluation) ask(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	answer, err := e.source.Lookup(ctx, name, qtype)
	var failed *dns.LookupError
	switch {
	case err == nil && answer.NXDomain && qtype == miekg.TypeTXT,
		errors.As(err, &failed) && failed.Kind == dns.BadName && qtype == miekg.TypeTXT:
		return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
	case failed != nil && failed.Kind == dns.BadName:
		return new(dns.Answer), nil
	case err != nil:
		e.failed = err
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true}
	}
	return answer, nil
}

// trace is told by the library what it does. It is the only way to learn which
// term decided; a test fails when the library says it in other words.
func (e *spfEvaluation) trace(format string, args ...any) {
	switch format {
	case "check %q %d %d":
		e.events = append(e.events, spfEvent{check: true})
	case "all: %v":
		e.events = append(e.events, spfEvent{term: "all"})
	case "%q %v, %v", "%q: %v, %v": // mechanism; redirect
		if len(args) == 3 {
			if term, ok := args[0].(string); ok {
				e.events = append(e.events, spfEvent{term: term})
			}
		}
	case "fallback to neutral":
		e.events = append(e.events, spfEvent{check: true})
	}
}

// path returns the term that decided, and before it the terms that led there.
// An include or redirect is told of after what decided within it.
func (e *spfEvaluation) path() string {
	var terms []string
	for i := len(e.events) - 1; i >= 0 && !e.events[i].check; i-- {
		term := e.events[i].term
		terms = append(terms, term)
		name := strings.ToLower(term)
		if !strings.HasPrefix(name, "include:") && !strings.HasPrefix(name, "redirect=") {
			break
		}
	}
	return strings.Join(terms, " ")
}

var _ spf.DNSResolver = (*spfEvaluation)(nil)
