// Package tally counts what aggregate reports say of a domain, and answers what follows:
// who sends in its name, which keys are in use, and whether a stricter policy is safe.
// It asks no DNS and reads no files.
package tally

import (
	"net/netip"
	"time"

	"signpost/keystore/report"
)

// Tally is the sum of reports. It is not safe for use by several goroutines at once while
// reports are added; afterwards it is.
type Tally struct{}

// New returns an empty tally.
func New() *Tally { return &Tally{} }

// Add counts a report, and reports whether it is new: one with the same reporter, id,
// domain and begin is counted once.
func (t *Tally) Add(r *report.Report) (added bool) { return false }

// Domains returns the domains that published a policy that was reported on, sorted.
func (t *Tally) Domains() []string { return nil }

// Sources returns the addresses that Answer will tell of, those with most messages first.
func (t *Tally) Sources(domain string, q Question) []netip.Addr { return nil }

// Answer says what the reports say of a domain.
func (t *Tally) Answer(domain string, q Question) *Answer { return &Answer{Domain: domain} }

// Sighting returns when the key of a selector was last seen to sign for a domain (d=), and
// what else was seen since, on later days than that of the time after, when the key stopped.
// Without Last it never was seen.
func (t *Tally) Sighting(domain, selector string, after time.Time) Sighting { return Sighting{} }

// Question is what an answer depends on besides the reports.
type Question struct {
	Now  time.Time
	Days int // to look back, by the ends of reports; 0 for all
	// Published is the DMARC record of the domain as the DNS has it; empty where that is not
	// known. Without it the policy is the one that was last reported.
	Published string
	// Own are the addresses of the sender's own hosts, OwnIs where they are from, such as
	// "given" or "in the SPF record of example.org". Without any, a source whose mail passes
	// both aligned SPF and DKIM is taken for one.
	Own   []netip.Prefix
	OwnIs string
	// Name returns the name of an address (PTR), empty where it is not known. It may be nil.
	Name func(netip.Addr) string
	// Keys are the keys of the domain; KeysKnown says that there are no others.
	Keys      []Key
	KeysKnown bool
	// Ignore are authenticated domains (such as crm.example) that do not send for the domain,
	// and addresses of such senders: their failures are those of forgers.
	Ignore     []string
	Thresholds Thresholds // DefaultThresholds where zero
}

// Key is a key at hand.
type Key struct {
	Domain, Selector string
	Stage            string // of rotation.Stage
	Signs            bool
}

// Thresholds are what a verdict of "safe" takes.
type Thresholds struct {
	Days      int `json:"days"`      // with reports
	Reporters int `json:"reporters"` // that differ
	Messages  int `json:"messages"`  // that they tell of
	// OwnFailures is how many messages of own hosts and known services may fail.
	OwnFailures int `json:"own_failures"`
}

// DefaultThresholds returns what is asked for where nothing else is.
func DefaultThresholds() Thresholds {
	return Thresholds{Days: 14, Reporters: 3, Messages: 100, OwnFailures: 0}
}

// Kind is what a source is.
type Kind string

// Kinds of sources.
const (
	Own       Kind = "own"       // a host of the sender's
	Relay     Kind = "relay"     // sends with authority: SPF or DKIM passes aligned
	Forwarder Kind = "forwarder" // DKIM passes aligned, SPF does not
	Modifier  Kind = "modifier"  // a forwarder that breaks signatures, as mailing lists do
	Service   Kind = "service"   // authenticated as another domain: a service that is not set up, or a forger with a domain
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

// Unused reports whether the reports prove that the key is not in use any more: since it was
// last seen, or ever if it never was, enough other mail of the domain was told of. It says
// nothing of mail that is still in a queue.
func (s Sighting) Unused(least Thresholds) bool { return false }

// Selector is a key that signatures named.
type Selector struct {
	Domain   string `json:"domain"` // d=
	Selector string `json:"selector"`
	Stage    string `json:"stage,omitempty"` // of the key at hand
	Foreign  bool   `json:"foreign"`         // not among the keys at hand, which are known
	Sighting
	What string `json:"what"` // that follows, in a sentence without a full stop
}

// Sighting is when the key of a selector was last seen.
type Sighting struct {
	First    time.Time  `json:"first,omitzero"` // days on which a signature passed
	Last     time.Time  `json:"last,omitzero"`
	Passed   int        `json:"passed"` // messages, by the raw result
	Failed   int        `json:"failed"`
	Reporter string     `json:"last_reporter,omitempty"`
	Source   netip.Addr `json:"last_source,omitzero"` // with most messages on the last day
	// Since are the reports on the same domain (d=) for days after Last, and after the day that
	// was asked for: on how many days, by how many reporters, of how many messages.
	SinceDays      int `json:"since_days"`
	SinceReporters int `json:"since_reporters"`
	SinceMessages  int `json:"since_messages"`
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

// Safety is the answer of a verdict.
type Safety string

// Answers of a verdict.
const (
	Safe      Safety = "safe"
	NotYet    Safety = "not yet"
	CannotSay Safety = "cannot say"
)

// Reason is a reason against the next step.
type Reason struct {
	What     string `json:"what"` // is wrong, with its count, in a sentence without a full stop
	Do       string `json:"do"`   // about it, in the imperative; empty where there is only NotMine
	Messages int    `json:"messages"`
	// NotMine is what to add to Question.Ignore if this sender is not the domain's; empty where
	// that cannot be.
	NotMine string `json:"not_mine,omitempty"`
}

// Verdict says whether the next step of the policy is safe.
type Verdict struct {
	Safe    Safety   `json:"safe"`
	Next    string   `json:"next,omitempty"` // quarantine or reject; empty when the policy is reject already
	Text    string   `json:"text"`           // with its count, in a sentence without a full stop
	Against []Reason `json:"against"`        // each reason why not, with what to do
	Lacking []string `json:"lacking"`        // what is missing to say "safe", each a phrase
	Notes   []string `json:"notes"`          // what does not change the verdict and should be known
	// Record is the DMARC record of the next step, made from the one that is published; empty
	// where that is not known.
	Record     string     `json:"record,omitempty"`
	Thresholds Thresholds `json:"thresholds"`
}
