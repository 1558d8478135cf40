// Package report reads DMARC aggregate reports: what receivers say of the mail that
// they got with a domain in From (RFC 9990; before it RFC 7489, appendix C).
package report

import (
	"net/netip"
	"time"
)

// Report is one aggregate report. All text is as the reporter wrote it, with white
// space cut off and invalid UTF-8 replaced: what shows it makes it safe. Domains are
// A-labels in lower case where they can be read as domains.
type Report struct {
	Reporter string // org_name, or the domain of its address where that is empty
	Email    string
	ID       string
	Begin    time.Time // of the period, UTC
	End      time.Time // inclusive
	Domain   string    // that published the policy
	Policy   Policy
	Rows     []Row
	Origin   Origin   // as who read the report found out
	Notes    []string // what is wrong with the report, and was read as well as it could be
}

// Policy is the policy that the reporter found in the DNS. Empty fields were not given.
type Policy struct {
	P, SP, NP   string // none, quarantine or reject
	ADKIM, ASPF string // r or s
	Testing     bool   // t=y: the policy is to be applied one step weaker (RFC 9989, section 4.7)
	Percent     int    // pct, which RFC 9989 dropped; 100 where not given
}

// Row is some messages that are alike.
type Row struct {
	Source netip.Addr // that delivered them; valid, without a zone, and of IPv4 as such
	Count  int        // above 0
	// Disposition is what became of them: none, quarantine or reject; empty where not given.
	Disposition string
	// DKIM and SPF are the evaluated results (policy_evaluated): something that is
	// authenticated so is aligned with From. They alone decide whether DMARC passed. Where the
	// reporter gives neither, both are false, and a note says so.
	DKIM, SPF bool
	Reasons   []Reason // why the disposition is not that of the policy

	From         string // domain in From
	EnvelopeFrom string // domain in MAIL FROM; empty for a bounce, or where not given
	EnvelopeTo   string

	// Signatures and Senders are raw results (auth_results): true of the domain they
	// name, whatever From says. Rows share them: they must not be changed.
	Signatures []Signature
	Senders    []Sender
}

// Passed reports whether the messages passed DMARC.
func (r *Row) Passed() bool { return r.DKIM || r.SPF }

// Reason is why a receiver did something else than the policy says.
type Reason struct {
	Type    string // such as forwarded, mailing_list, local_policy
	Comment string
}

// Signature is the raw result of a DKIM signature.
type Signature struct {
	Domain, Selector string
	Result           string // of RFC 8601: pass, fail, …
}

// Sender is the raw result of SPF.
type Sender struct {
	Domain string
	Scope  string // mfrom or helo; empty where not given
	Result string // of RFC 7208: pass, softfail, …
}
