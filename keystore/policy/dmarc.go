package policy

import (
	"context"
	"errors"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// AuthorDomain is what the DNS says of the domain in From (RFC 9989, section 4.10).
type AuthorDomain struct {
	Name string
	// Organizational is what the domain is compared by in relaxed alignment;
	// empty when it could not be found out, which Aligned tells.
	Organizational string
	// Found is the domain below whose _dmarc label the record stands, Text the
	// record. Both are empty when there is none: then DMARC does not apply.
	Found, Text string
	Record      record.DMARC
	// Tag is the tag that the policy comes from: "p", "sp" or "np".
	Tag string
	// Policy is the one in force: "none", "quarantine" or "reject", which with
	// t=y is one step below the Published one. Both are empty when there is no
	// record, or one without a policy and without an address for reports.
	Policy, Published string
	// Several names the domains that have more than one record, which count
	// as none.
	Several []string

	source  dns.Source
	unknown error // why there is no Organizational
}

// DMARC finds the policy for an author domain, which is given in A-labels. The
// error is a *dns.LookupError: what could not be found out is never "no policy".
func DMARC(ctx context.Context, source dns.Source, authorDomain string) (*AuthorDomain, error) {
	domain := dns.Plain(authorDomain)
	w, err := walk(ctx, source, domain)
	if err != nil && !w.hasOwn() {
		return nil, err
	}
	d := &AuthorDomain{Name: domain, Several: w.several, source: source, unknown: err}
	if err == nil {
		d.Organizational = w.organizational()
	}
	found := w.policyRecord(d.Organizational)
	if found == nil {
		return d, nil
	}
	d.Found, d.Text, d.Record = found.domain, found.text, found.record
	d.Tag, d.Published = "p", d.Record.Policy
	if d.Found != domain {
		if err := d.inherit(ctx); err != nil {
			return nil, err
		}
	}
	d.Policy = d.Published
	if d.Record.Testing {
		d.Policy = lowered(d.Policy)
	}
	return d, nil
}

// inherit takes the policy for a subdomain. It exists unless the DNS says
// NXDOMAIN (RFC 9989, section 3.2.13 and appendix A.4).
func (d *AuthorDomain) inherit(ctx context.Context) error {
	if d.Published == "" {
		return nil
	}
	if d.Record.NonexistentPolicy != "" {
		answer, err := d.source.Lookup(ctx, d.Name, miekg.TypeA)
		if err != nil {
			return err
		}
		// With a CNAME the name exists, whatever becomes of its target.
		if answer.NXDomain && len(answer.CNAMEs) == 0 {
			d.Tag, d.Published = "np", d.Record.NonexistentPolicy
			return nil
		}
	}
	if d.Record.SubdomainPolicy != "" {
		d.Tag, d.Published = "sp", d.Record.SubdomainPolicy
	}
	return nil
}

// lowered is the policy that the owner expects while t=y (RFC 9989, section 4.7).
func lowered(policy string) string {
	if policy == "reject" {
		return "quarantine"
	}
	return "none"
}

// Aligned reports whether a domain that SPF or DKIM authenticated is aligned
// with the author domain (RFC 9989, section 4.10.2): the same, or with strict
// false, of the same organizational domain. The error is a *dns.LookupError.
func (d *AuthorDomain) Aligned(ctx context.Context, authenticated string, strict bool) (bool, error) {
	domain := dns.Plain(authenticated)
	if domain == d.Name {
		return true, nil
	}
	if strict || domain == "" {
		return false, nil
	}
	if d.unknown != nil {
		return false, d.unknown
	}
	organizational, err := organizationalOf(ctx, d.source, domain)
	return organizational == d.Organizational, err
}

// organizationalOf returns the organizational domain of a domain (RFC 9989,
// section 4.10.2). The error is a *dns.LookupError.
func organizationalOf(ctx context.Context, source dns.Source, domain string) (string, error) {
	w, err := walk(ctx, source, domain)
	if err != nil {
		return "", err
	}
	return w.organizational(), nil
}

// treeWalk is what was found from a domain up to its top level (RFC 9989,
// section 4.10).
type treeWalk struct {
	start   string
	found   []policyRecord // from the longest name to the shortest
	several []string
}

type policyRecord struct {
	domain, text string
	record       record.DMARC
}

// maxWalk is how many labels the second name and those after it have at most,
// so that a walk has eight queries (RFC 9989, section 4.10, step 4).
const maxWalk = 7

func walk(ctx context.Context, source dns.Source, domain string) (*treeWalk, error) {
	w := &treeWalk{start: domain}
	for name := domain; name != ""; {
		stop, err := w.visit(ctx, source, name)
		if err != nil || stop {
			return w, err
		}
		_, name, _ = strings.Cut(name, ".")
		if labels := strings.Split(name, "."); len(labels) > maxWalk {
			name = strings.Join(labels[len(labels)-maxWalk:], ".")
		}
	}
	return w, nil
}

// hasOwn reports whether the domain has a record of its own, which is its policy
// whatever the names above it have.
func (w *treeWalk) hasOwn() bool { return len(w.found) > 0 && w.found[0].domain == w.start }

// visit asks for the record of one domain. It says to stop where psd=y or
// psd=n ends the walk.
func (w *treeWalk) visit(ctx context.Context, source dns.Source, domain string) (stop bool, err error) {
	answer, err := source.Lookup(ctx, "_dmarc."+domain, miekg.TypeTXT)
	var failed *dns.LookupError
	if errors.As(err, &failed) && failed.Kind == dns.BadName {
		return false, nil // no name, no record
	}
	if err != nil {
		return false, err
	}
	var records []policyRecord
	for _, txt := range answer.TXT() {
		if parsed, err := record.ParseDMARC(txt.Text()); err == nil {
			records = append(records, policyRecord{domain, txt.Text(), parsed})
		}
	}
	switch len(records) {
	case 0:
		return false, nil
	case 1:
		w.found = append(w.found, records[0])
		return records[0].record.PublicSuffix != "", nil
	}
	w.several = append(w.several, domain)
	return false, nil
}

// organizational applies RFC 9989, section 4.10.2. As psd= ends the walk, only
// the last record can have it.
func (w *treeWalk) organizational() string {
	if len(w.found) == 0 {
		return w.start
	}
	last := w.found[len(w.found)-1]
	if last.record.PublicSuffix == "y" && last.domain != w.start {
		below := strings.TrimSuffix(w.start, "."+last.domain)
		return below[strings.LastIndexByte(below, '.')+1:] + "." + last.domain
	}
	return last.domain
}

// policyRecord returns the record of the author domain, else that of the
// organizational domain, else that of the public suffix (RFC 9989, section
// 4.10.1), or nil.
func (w *treeWalk) policyRecord(organizational string) *policyRecord {
	for _, domain := range []string{w.start, organizational} {
		for i, found := range w.found {
			if found.domain == domain {
				return &w.found[i]
			}
		}
	}
	if n := len(w.found); n > 0 && w.found[n-1].record.PublicSuffix == "y" {
		return &w.found[n-1]
	}
	return nil
}
