// Package check compares what a sending domain has in the DNS with its keys and
// with the hosts that send for it, and says whether its mail will pass DMARC.
package check

import (
	"context"
	"net/netip"
	"sync"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/place"
	"signpost/keystore/rotation"
)

// Options say what a domain is compared with.
type Options struct {
	Resolver *dns.Resolver
	// Authoritative asks every name server of the domain's zone, on Port (53
	// when empty), in place of the resolver.
	Authoritative bool
	Port          string

	Keys       *keystore.Snapshot
	KeysErr    error       // why there are no Keys
	KeysIn     place.Place // where they are
	Subdomains bool        // the keys of a domain sign for what is below it
	Mode       rotation.Mode
	// Stages returns the stages of the keys of a domain for a running signpostd, by
	// selector. Nil is for one that starts now.
	Stages func(ctx context.Context, domain string) (map[string]rotation.Stage, error)

	From   []netip.Addr // that send; none: the addresses of the domain's MX
	FromIs string       // where From is from, such as "given"
	Helo   string       // what the sending host calls itself; empty when not known
	// MailFrom is the domain in MAIL FROM, empty when it is the domain itself.
	MailFrom string

	// Lists are the zones of DNSBLs, which are asked about the senders.
	Lists []string
	// ListsGiven says that somebody wants to know of those lists: that one gives no
	// answer is unknown, not a note.
	ListsGiven bool
	Sender     Sender
}

// Report is what was found out about a domain.
type Report struct {
	Domain  string  `json:"domain"`
	Passes  Outcome `json:"passes"`  // does its mail pass DMARC?
	Verdict string  `json:"verdict"` // the same in one sentence

	Good     []Good            `json:"good"`
	Findings []finding.Finding `json:"findings"`
	// Bulk is what Gmail and Yahoo ask; nil for a domain that sends nothing, or of
	// which nothing is known.
	Bulk *Bulk `json:"bulk,omitempty"`
}

// Good is one thing that was checked and is as it should be.
type Good struct {
	Name string `json:"name"` // a DNS name or an address
	What string `json:"what"`
}

// Outcome answers whether something passes.
type Outcome string

// Outcomes.
const (
	Yes      Outcome = "yes"
	No       Outcome = "no"
	NotKnown Outcome = "unknown"
)

// mostWaits bounds how long the check of one domain takes, as a multiple of the
// resolver's time-out: a name server may answer some queries and ignore the others.
const mostWaits = 20

// mostNames bounds how many names of one answer are checked. No mail domain has
// more.
const mostNames = 20

// audit is the state of one domain's check. Its parts run at once, and each
// writes only to what is its own.
type audit struct {
	Options
	domain   string
	resolver *dns.Resolver

	senders  []netip.Addr
	mx       []string // the mail exchangers' names
	mailFrom string

	keys   []keyState
	spf    []spfState
	policy policyState

	absent  bool                   // there is no such name
	bogus   string                 // why the zone's signatures are not good
	reverse map[netip.Addr]Outcome // of the public senders: a name leads back to it
}

// Domain checks one domain, given in A-labels. It always returns a report: what
// could not be found out is a finding in it.
func Domain(ctx context.Context, options Options, domain string) *Report {
	ctx, cancel := context.WithTimeout(ctx, mostWaits*options.Resolver.Patience)
	defer cancel()
	a := &audit{Options: options, domain: domain, resolver: options.Resolver, mailFrom: options.MailFrom}
	if a.mailFrom == "" {
		a.mailFrom = domain
	}
	var start, exchangers section
	if !a.start(ctx, &start) {
		return a.report(ctx, &start)
	}
	if a.isLocked(ctx) {
		return a.locked(ctx, &start)
	}
	a.checkMX(ctx, &exchangers)
	a.chooseSenders(ctx, &exchangers)

	checks := []func(context.Context, *section){a.checkKeys, a.checkSPF, a.checkPolicy, a.checkHosts,
		a.checkListings, a.checkTransport, a.checkDNSSEC}
	sections := make([]section, len(checks))
	var running sync.WaitGroup
	for i, check := range checks {
		running.Go(func() { check(ctx, &sections[i]) })
	}
	running.Wait()
	var alignment, servers section
	a.checkAlignment(ctx, &alignment)
	a.checkServers(ctx, &servers)
	r := a.report(ctx, &start, &sections[0], &sections[1], &sections[2], &alignment, &exchangers,
		&sections[3], &sections[4], &sections[5], &servers, &sections[6])
	r.Bulk = a.bulk(ctx, r.Passes)
	return r
}

// start checks whether the DNS answers at all, so that a dead resolver is reported
// once and not for every record.
func (a *audit) start(ctx context.Context, s *section) bool {
	answer, err := a.resolver.Lookup(ctx, a.domain, miekg.TypeSOA)
	if err == nil && a.Authoritative {
		a.resolver, err = a.resolver.Direct(ctx, a.domain, a.Port)
	}
	if err != nil {
		a.policy.err = err
		if !a.isBogus(ctx, s, err) {
			s.failed(a.domain, err, "nothing can be said about the domain")
		}
		return false
	}
	if a.absent = answer.NXDomain; a.absent {
		s.add(finding.Fault, "dns-no-domain", a.domain, "the domain does not exist in the DNS",
			"nothing can be found below it, and receivers refuse mail from a domain that does not exist",
			"register the domain, or have the zone above it delegate it or hold its records")
	}
	return true
}

// report puts the sections together. A query that failed in several of them is
// reported once.
func (a *audit) report(ctx context.Context, sections ...*section) *Report {
	r := &Report{Domain: a.domain, Good: []Good{}, Findings: []finding.Finding{}}
	told := make(map[finding.Finding]bool)
	for _, s := range sections {
		r.Good = append(r.Good, s.good...)
		for _, f := range s.findings {
			key := finding.Finding{Code: f.Code, Name: f.Name, What: f.What}
			if !told[key] {
				told[key] = true
				r.Findings = append(r.Findings, f)
			}
		}
	}
	a.throughAliases(ctx, r.Findings)
	a.judge(ctx, r)
	return r
}
