package record

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

const noDMARC = "receivers find no policy, so mail can be forged in the name of the domain, and " +
	"real mail passes no DMARC"

// LintDMARC says what is wrong with the TXT records at name, such as
// "_dmarc.example.org". A subdomain needs none, if there is one above it: that
// is for the caller to know.
func LintDMARC(name string, published []TXT) []finding.Finding {
	l := &dmarcLinter{linter: linter{name: name}}
	var records, misspelt, others []string
	for _, t := range published {
		text := t.Text()
		if _, err := ParseDMARC(text); err == nil {
			records = append(records, text)
		} else if likeDMARC(text) {
			misspelt = append(misspelt, text)
		} else {
			others = append(others, text)
		}
	}
	switch {
	case len(records) > 1:
		l.want(mildest(records).String())
		l.wrongBut("remove all of them, and", finding.Fault, "dmarc-several",
			fmt.Sprintf("there are %d policy records: %s", len(records), quoteStrings(records)),
			"receivers use none of them: "+noDMARC)
	case len(records) == 1:
		l.record(records[0])
	case len(misspelt) == 0:
		l.missing(others)
	}
	for _, text := range misspelt {
		l.misspelt(text, len(records) > 0)
	}
	return l.findings
}

// mildest returns that of several records with which least mail is lost. The
// DNS gives them in any order.
func mildest(records []string) DMARC {
	var policies []DMARC
	for _, text := range slices.Sorted(slices.Values(records)) {
		mended, _ := mend(text)
		policies = append(policies, mendDMARC(mended))
	}
	return slices.MinFunc(policies, func(a, b DMARC) int {
		return slices.Index(strength, a.Policy) - slices.Index(strength, b.Policy)
	})
}

type dmarcLinter struct{ linter }

func (l *dmarcLinter) missing(others []string) {
	l.want(withReports(DMARC{Policy: "none"}, l.name).String())
	for _, text := range others {
		if strings.HasPrefix(strings.ToLower(text), "v=") {
			l.wrong(finding.Fault, "dmarc-other-record", "this is not a policy record: "+quote(text), noDMARC)
			return
		}
	}
	l.wrong(finding.Warning, "dmarc-missing", "there is no policy record", noDMARC)
}

// likeDMARC reports whether a text that is no policy record was meant to be one.
func likeDMARC(text string) bool {
	mended, _ := mend(text)
	return strings.Contains(strings.ToLower(mended), "dmarc")
}

func (l *dmarcLinter) misspelt(text string, beside bool) {
	if beside {
		l.add(finding.Note, "dmarc-unread", "beside the policy record there is one that nobody reads: "+quote(text),
			"it does no harm", "remove it")
		return
	}
	mended, found := mend(text)
	r := mendDMARC(mended)
	l.want(r.String())
	for _, p := range found {
		l.wrong(finding.Fault, "dmarc-"+p.kind, p.what, noDMARC)
	}
	tags := splitTags(mended)
	switch at := slices.Index(tags, Tag{"v", "DMARC1"}); {
	case at > 0:
		l.wrong(finding.Fault, "dmarc-version-not-first", "v=DMARC1 is not at the beginning: "+quote(text), noDMARC)
	case at < 0:
		l.wrong(finding.Fault, "dmarc-wrong-version", quote(text)+" does not begin with v=DMARC1", noDMARC)
	}
}

// record lints the one record that receivers read.
func (l *dmarcLinter) record(text string) {
	mended, found := mend(text)
	l.want(mendDMARC(mended).String())
	for _, p := range found {
		l.wrong(finding.Warning, "dmarc-"+p.kind, p.what, "receivers ignore the tags in which it stands")
	}
	r, _ := ParseDMARC(mended)
	tags := splitTags(mended)
	l.list(tags)
	for _, t := range tags[1:] {
		l.tag(t)
	}
	if at := slices.IndexFunc(tags, func(t Tag) bool { return t.Name == "p" }); at > 1 && tags[1] != (Tag{}) {
		l.wrong(finding.Note, "dmarc-policy-not-second", "p= does not follow v=DMARC1",
			"receivers that know only the old RFC 7489 may ignore the record")
	}
	l.policy(r, mended, tags)
}

// list checks the tag-list as such.
func (l *dmarcLinter) list(tags []Tag) {
	count := make(map[string]int)
	for _, t := range tags {
		count[t.Name]++
		switch {
		case t.Name == "" && t.Value == "":
			l.wrong(finding.Warning, "dmarc-syntax", "there is nothing between two semicolons",
				"strict receivers may ignore the record")
		case t.Name == "" || !isTagName(t.Name):
			l.wrong(finding.Warning, "dmarc-syntax",
				quote(strings.TrimPrefix(t.Name+"="+t.Value, "="))+" is not tag=value",
				"receivers ignore it, or the whole record")
		case count[t.Name] == 2:
			l.wrong(finding.Fault, "dmarc-duplicate-tag", "tag "+t.Name+"= is there more than once",
				"receivers treat the record as invalid, or use either value")
		}
	}
}

// policy looks at what the record as a whole asks for.
func (l *dmarcLinter) policy(r DMARC, text string, tags []Tag) {
	has := func(name string) bool {
		return slices.ContainsFunc(tags, func(t Tag) bool { return t.Name == name })
	}
	at := slices.IndexFunc(tags, func(t Tag) bool { return t.Name == "p" })
	none := at >= 0 && strings.EqualFold(tags[at].Value, "none")
	if !has("p") {
		effect := "receivers treat it as p=none (RFC 9989, section 4.10.1), and older ones ignore the record"
		if r.Policy == "" {
			effect = noDMARC
		}
		l.wrong(finding.Fault, "dmarc-no-policy", "it has no p=", effect)
	}
	reports := len(r.AggregateReports) > 0
	switch {
	case none && reports:
		l.note("dmarc-monitoring", "p=none asks receivers only to report",
			"mail forged in the name of the domain is delivered; quarantine and reject come next")
	case !reports && !has("rua"):
		l.withoutReports(mendDMARC(text), none)
	}
	if r.Testing {
		l.note("dmarc-testing", "t=y says that the policy is only being tested",
			"receivers do not apply it, and treat mail that fails more mildly")
	}
	nonexistent := r.NonexistentPolicy
	if weaker(r.SubdomainPolicy, r.Policy) {
		l.wrong(finding.Warning, "dmarc-weak-subdomains", fmt.Sprintf("sp=%s is weaker than p=%s",
			r.SubdomainPolicy, r.Policy), "mail can be forged in the name of any subdomain")
	}
	if above := strongest(r.Policy, r.SubdomainPolicy); weaker(nonexistent, above) {
		l.wrong(finding.Warning, "dmarc-weak-nonexistent",
			fmt.Sprintf("np=%s is weaker than the policy of names that exist, %s", nonexistent, above),
			"mail can be forged in the name of subdomains that do not exist")
	}
	switch r.PublicSuffix {
	case "y":
		l.wrong(finding.Warning, "dmarc-psd",
			"psd=y says that others register names below this one, as below \"com\"",
			"names below count as domains of their own")
	case "n":
		l.note("dmarc-psd", "psd=n makes this name an organizational domain",
			"names above it count no longer; this is seldom needed")
	}
	if has("fo") && !has("ruf") {
		l.note("dmarc-unused", "fo= has no meaning without ruf=", "receivers ignore it")
	}
}

// withoutReports tells of a record without rua=.
func (l *dmarcLinter) withoutReports(r DMARC, none bool) {
	asked := linter{name: l.name}
	asked.want(withReports(r, l.name).String())
	if none {
		asked.wrong(finding.Warning, "dmarc-no-reports", "p=none without rua= asks nothing of anybody",
			"the record neither protects nor tells you anything")
	} else {
		asked.wrong(finding.Note, "dmarc-no-reports", "it has no rua=", "nobody tells you when real mail fails")
	}
	l.findings = append(l.findings, asked.findings...)
}

// withReports adds the address that every domain with mail should have (RFC 2142).
func withReports(r DMARC, name string) DMARC {
	r.AggregateReports = []string{"mailto:postmaster@" + strings.TrimPrefix(name, "_dmarc.")}
	return r
}

var strength = []string{"none", "quarantine", "reject"}

func weaker(policy, than string) bool {
	return policy != "" && slices.Index(strength, policy) < slices.Index(strength, than)
}

func strongest(a, b string) string {
	if weaker(a, b) || a == "" {
		return b
	}
	return a
}
