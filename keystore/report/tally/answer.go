package tally

import (
	"net/netip"
	"time"
)

// Kind is what a source is.
type Kind string

// Kinds of sources.
const (
	Own       Kind = "own"       // a host of the sender's
	Relay     Kind = "relay"     // sends with authority: SPF or DKIM passes aligned
	Forwarder Kind = "forwarder" // DKIM passes aligned, SPF does not
	Modifier  Kind = "modifier"  // a forwarder that breaks signatures, as mailing lists do
	Service   Kind = "service"   // authenticated as another domain: not set up, or a forger with a domain
	Unknown   Kind = "unknown"   // nothing passes
)

// Answer is what the reports say of a domain, within the days that were asked for.
type Answer struct {
	Domain    string    `json:"domain"`
	Reports   int       `json:"reports"`
	Reporters []string  `json:"reporters"` // by name, sorted
	Twice     int       `json:"duplicates"`
	First     time.Time `json:"first,omitzero"` // day of the first and the last report
	Last      time.Time `json:"last,omitzero"`
	Days      []Day     `json:"days"` // from the first to the last, those without reports too
	Covered   int       `json:"days_covered"`
	Mail      Mail      `json:"mail"`

	Messages   Count       `json:"messages"`
	Policy     Policy      `json:"policy"`     // as it was last reported
	Subdomains []Subdomain `json:"subdomains"` // in From, other than the domain itself
	Sources    []Source    `json:"sources"`    // those with most messages first
	WhatIf     []WhatIf    `json:"what_if"`
	Overrides  []Override  `json:"overrides"`

	Selectors []Selector `json:"selectors"`
	Broken    []Broken   `json:"broken"`     // own signatures that failed
	Unseen    []string   `json:"never_seen"` // selectors of keys that sign and that no report names

	Raw     Raw     `json:"raw"`
	Verdict Verdict `json:"verdict"`
}

// Count counts messages by the evaluated result.
type Count struct {
	Passed int `json:"passed"`
	Failed int `json:"failed"`
}

// Total returns all messages.
func (c Count) Total() int { return c.Passed + c.Failed }

// Day is one day, by the middle of the period of a report, in UTC.
type Day struct {
	Day time.Time `json:"day"`
	Count
	Reports int `json:"reports"`
}

// Policy is a policy as a reporter found it.
type Policy struct {
	P       string    `json:"p"`
	SP      string    `json:"sp,omitempty"`
	NP      string    `json:"np,omitempty"`
	Testing bool      `json:"testing"`
	Percent int       `json:"pct"`
	Seen    time.Time `json:"seen"` // end of the report
}

// Subdomain is a domain in From below the one that published the policy.
type Subdomain struct {
	Name string `json:"name"`
	Count
}

// Source is an address that delivered messages.
type Source struct {
	Address netip.Addr `json:"address"`
	Name    string     `json:"name,omitempty"` // PTR
	Network string     `json:"network"`        // its /24 or /48
	Kind    Kind       `json:"kind"`
	Why     string     `json:"why"`     // it is taken for that, as a phrase
	Ignored bool       `json:"ignored"` // by Question.Ignore: what fails here is of forgers
	Count
	DKIM        int       `json:"dkim_aligned"` // messages with an aligned DKIM pass
	SPF         int       `json:"spf_aligned"`
	Quarantined int       `json:"quarantined"` // by their disposition
	Rejected    int       `json:"rejected"`
	As          []string  `json:"authenticated_as"` // domains of raw passes that are not aligned, most first
	From        []string  `json:"from"`             // domains in From, most first
	Reporters   []string  `json:"reporters"`
	First       time.Time `json:"first"` // days
	Last        time.Time `json:"last"`
}

// WhatIf is what would have become of the messages under a policy.
type WhatIf struct {
	Policy      string `json:"policy"` // none, quarantine or reject as p=, or "as published" with sp, np, t as they stand
	Delivered   int    `json:"delivered"`
	Quarantined int    `json:"quarantined"`
	Rejected    int    `json:"rejected"`
	// Legitimate is how many of those that are not delivered are not of forgers: of own hosts,
	// relays, services and modifiers.
	Legitimate int `json:"legitimate"`
	// Unclear is how many are of subdomains that may not exist, so that np= may apply to them;
	// they are counted by sp=.
	Unclear int `json:"unclear"`
}

// Override is a reason that receivers gave for not applying the policy.
type Override struct {
	Type     string `json:"type"`
	Comment  string `json:"comment,omitempty"` // the most frequent
	Messages int    `json:"messages"`
}

// Selector is a key that signatures named.
type Selector struct {
	Domain   string `json:"domain"` // d=
	Selector string `json:"selector"`
	Stage    string `json:"stage,omitempty"` // of the key at hand
	Foreign  bool   `json:"foreign"`         // not among the keys at hand, which are known
	Sighting
	What string `json:"what"` // that follows, in a sentence without a full stop
}

// Broken is signatures of ours that failed at a receiver.
type Broken struct {
	Selector  string     `json:"selector"`
	Day       time.Time  `json:"day"`
	Source    netip.Addr `json:"source"`
	Kind      Kind       `json:"kind"`
	Reporters []string   `json:"reporters"`
	Messages  int        `json:"messages"`
	What      string     `json:"what"` // that follows, in a sentence without a full stop
	Hint      string     `json:"hint,omitempty"`
}

// Raw is what the raw results would have said in place of the evaluated ones.
type Raw struct {
	// Passed counts messages that failed DMARC though SPF or DKIM passed for some domain, Failed
	// those that passed DMARC though one of the two failed.
	Passed int `json:"passed_unaligned"`
	Failed int `json:"failed_one"`
}
