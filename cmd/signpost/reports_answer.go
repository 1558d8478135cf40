package main

import (
	"net/netip"
	"slices"
	"time"

	"signpost/keystore/report/tally"
)

// reportsAnswer is the JSON form of the answer, and what the page is made of.
type reportsAnswer struct {
	Safe    tally.Safety     `json:"safe"` // the worst of the domains
	Read    reportsRead      `json:"read"`
	Domains []*reportsDomain `json:"domains"`
}

// reportsRead is what was found in the files.
type reportsRead struct {
	Reports         int            `json:"reports"`
	Twice           int            `json:"duplicates"`
	TLS             int            `json:"tls_reports"`
	TLSReporters    []string       `json:"tls_reporters"`
	WithoutMessages int            `json:"messages_without"` // a report
	WithoutFiles    int            `json:"files_without"`
	Notes           int            `json:"odd"` // reports that do not keep to the format
	Failed          []failedReport `json:"failed"`
	Refuted         []failedReport `json:"refuted"` // that are not from whom they say
}

func newReportsRead() reportsRead {
	return reportsRead{TLSReporters: []string{}, Failed: []failedReport{}, Refuted: []failedReport{}}
}

// failedReport is one that cannot be read, or that does not count.
type failedReport struct {
	Where string `json:"where"`
	Error string `json:"error"`
	Hint  string `json:"hint"`
}

// reportsDomain is what the reports say of a domain, and what the DNS does.
type reportsDomain struct {
	*tally.Answer
	// Older is the day of the last report where all are older than was looked back on.
	Older time.Time `json:"older,omitzero"`
	// Record is the DMARC record that is in the DNS now; empty when there is none, or it is
	// not known, for which NoRecord says why.
	Record   string `json:"dns_record"`
	NoRecord string `json:"dns_error"`
	unknown  bool   // whether there is one
	Alias    string `json:"dns_alias"` // where the name leads by CNAME
	// KeysKnown says that the keys of the domain were compared with the selectors.
	KeysKnown bool   `json:"keys_known"`
	Put       string `json:"published"` // the record that was put into the DNS, or with --dry-run would be
	Refused   string `json:"not_published"`
}

// worst returns the verdict that counts for all domains: one that is not safe is a finding,
// whatever is not known of others.
func worst(domains []*reportsDomain) tally.Safety {
	for _, verdict := range []tally.Safety{tally.NotYet, tally.CannotSay} {
		if slices.ContainsFunc(domains, func(d *reportsDomain) bool { return d.Verdict.Safe == verdict }) {
			return verdict
		}
	}
	if len(domains) == 0 {
		return tally.CannotSay
	}
	return tally.Safe
}

// exitOf is the exit code of a verdict, as an error without a text.
func exitOf(verdict tally.Safety) error {
	switch verdict {
	case tally.Safe:
		return nil
	case tally.NotYet:
		return exitCode(exitFinding)
	}
	return exitCode(exitUnknown)
}

// nameOf returns names for a question; nil where none is known.
func nameOf(names map[netip.Addr]string) func(netip.Addr) string {
	if len(names) == 0 {
		return nil
	}
	return func(addr netip.Addr) string { return names[addr] }
}
