package record

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

const (
	permError = "receivers give \"permerror\": SPF does not pass for any mail of the domain"
	noSPF     = "receivers find no SPF record, so SPF passes for no mail of the domain"
)

// LintSPF says what is wrong with the SPF record among the TXT records at
// domain. It sees only this one record, and asks no DNS.
func LintSPF(domain string, published []TXT) []finding.Finding {
	l := &linter{name: domain}
	var records, misspelt []string
	for _, t := range published {
		text := t.Text()
		if _, _, err := readSPF(text); err == nil {
			records = append(records, text)
		} else if likeSPF(text) {
			misspelt = append(misspelt, text)
		}
	}
	switch {
	case len(records) > 1:
		l.want(mergeSPF(records).String())
		l.wrongBut("remove all of them, and", finding.Fault, "spf-several",
			fmt.Sprintf("there are %d SPF records: %s", len(records), quoteStrings(records)), permError)
	case len(records) == 1:
		lintSPFRecord(l, records[0])
	case len(misspelt) == 0:
		l.want("v=spf1 mx -all")
		l.wrong(finding.Fault, "spf-missing", "there is no SPF record",
			"SPF passes for no mail of the domain, and some receivers refuse such mail")
	}
	for _, text := range misspelt {
		lintMisspeltSPF(l, text, len(records) > 0)
	}
	return l.findings
}

func quoteStrings(texts []string) string {
	var quoted []string
	for _, text := range texts {
		quoted = append(quoted, quote(text))
	}
	return strings.Join(quoted, ", ")
}

// likeSPF reports whether a text that is no SPF record was meant to be one.
func likeSPF(text string) bool {
	mended, _ := mend(text)
	mended = strings.ToLower(strings.ReplaceAll(mended, " ", ""))
	for _, prefix := range []string{"v=spf", "v:spf", "vspf", "spf1", "spf=", "spf2.0/", "=spf1"} {
		if strings.HasPrefix(mended, prefix) {
			return true
		}
	}
	return false
}

func lintMisspeltSPF(l *linter, text string, beside bool) {
	if strings.HasPrefix(strings.ToLower(text), "spf2.0/") {
		l.note("spf-sender-id", "this is a record of Sender ID: "+quote(text), "nobody reads it any more")
		return
	}
	mended, found := mend(text)
	mended = mendSPFVersion(mended)
	l.publish, l.fix = nil, "publish a record such as \"v=spf1 mx -all\" at "+l.name
	if r, ok := mendSPF(mended); ok {
		l.want(tidySPF(r).String())
	}
	if beside {
		l.add(finding.Note, "spf-unread", "beside the SPF record there is one that nobody reads: "+quote(text),
			"it does no harm", "remove it")
		return
	}
	for _, p := range found {
		l.wrong(finding.Fault, "spf-"+p.kind, p.what, noSPF)
	}
	if len(found) == 0 {
		l.wrong(finding.Fault, "spf-wrong-version", quote(text)+" does not begin with \"v=spf1\" and a space", noSPF)
	}
}

// mendSPFVersion puts "v=spf1 " in the place of what was meant to be that.
func mendSPFVersion(text string) string {
	end := 0
	for _, want := range []byte("v=spf1") {
		for end < len(text) && text[end] == ' ' {
			end++
		}
		if end < len(text) && text[end]|0x20 == want|0x20 {
			end++
		}
	}
	rest := strings.TrimLeft(text[end:], "0123456789.;:, \t")
	return strings.TrimRight("v=spf1 "+rest, " ")
}

// lintSPFRecord lints the one record that receivers read.
func lintSPFRecord(l *linter, text string) {
	mended, found := mend(text)
	r, ok := mendSPF(mended)
	l.publish, l.fix = nil, "correct the record"
	if ok {
		l.want(tidySPF(r).String())
	}
	for _, p := range found {
		l.wrong(finding.Fault, "spf-"+p.kind, p.what, permError)
	}
	if len(found) == 0 {
		_, wrong, _ := readSPF(text)
		for _, err := range wrong {
			l.wrong(finding.Fault, "spf-syntax", err.Error(), permError)
		}
	}
	if len(text) > 450 {
		l.wrong(finding.Warning, "spf-long",
			fmt.Sprintf("the record has %d bytes, and should have no more than 450", len(text)),
			"with the other TXT records of the name its answer may not fit UDP (RFC 7208, section 3.4)")
	}
	lintSPFPolicy(l, r)
	// As it stands there, where that can be read: mending hides some slips.
	if asWritten, _, err := readSPF(mended); err == nil {
		r = asWritten
	}
	lookups := 0
	seen := make(map[string]bool)
	for _, t := range r.Terms {
		if t.LooksUp() {
			lookups++
		}
		lintTerm(l, t)
		key := strings.ToLower(t.String())
		if seen[key] {
			l.note("spf-duplicate", quote(t.String())+" is there twice", "the second has no effect")
		}
		seen[key] = true
	}
	if lookups > MaxLookups {
		l.add(finding.Fault, "spf-lookups", fmt.Sprintf("%d terms make receivers query the DNS, "+
			"and %d are allowed", lookups, MaxLookups), permError,
			"replace names whose addresses are known by ip4: and ip6:, and drop what sends no mail")
	}
}

// lintSPFPolicy looks at how the record ends.
func lintSPFPolicy(l *linter, r SPF) {
	redirect := slices.ContainsFunc(r.Terms, func(t Term) bool { return t.Modifier && t.Name == "redirect" })
	at := slices.IndexFunc(r.Terms, isAll)
	if at < 0 {
		if !redirect {
			l.wrong(finding.Warning, "spf-no-all", "it ends without \"all\"",
				"for mail from anywhere else the result is \"neutral\", as if there were no record")
		}
		return
	}
	switch all := r.Terms[at]; all.Qualifier {
	case "+", "":
		l.wrong(finding.Fault, "spf-pass-all",
			quote(all.String())+" lets everybody in the world send in the name of the domain",
			"forged mail passes SPF, and DMARC with it")
	case "?":
		l.wrong(finding.Warning, "spf-neutral-all", "\"?all\" says nothing of mail from anywhere else",
			"forged mail is \"neutral\", as if there were no record")
	}
	for _, t := range r.Terms[at+1:] {
		if !t.Modifier {
			l.wrong(finding.Fault, "spf-after-all", quote(t.String())+" stands after \"all\"",
				"receivers never come to it: SPF does not pass for what it names")
		}
	}
	if redirect {
		l.wrong(finding.Warning, "spf-redirect-ignored", "\"redirect=\" stands beside \"all\"",
			"receivers ignore it (RFC 7208, section 6.1)")
	}
}

func isAll(t Term) bool { return !t.Modifier && t.Name == "all" }

func lintTerm(l *linter, t Term) {
	switch {
	case t.Modifier && isMechanism(t.Name):
		l.wrong(finding.Fault, "spf-modifier",
			quote(t.String())+" is written with \"=\" in place of \":\"",
			"receivers ignore it: SPF does not pass for what it names")
	case t.Modifier && !slices.Contains([]string{"redirect", "exp", "ra", "rp", "rr"}, t.Name):
		l.note("spf-unknown-modifier", quote(t.String())+" is not known", "receivers ignore it")
	case !t.Modifier && t.Name == "ptr":
		l.wrong(finding.Warning, "spf-ptr", "\"ptr\" should not be used any more",
			"it is slow and unreliable, and some receivers do not follow it (RFC 7208, section 5.5)")
	case strings.Contains(strings.ToLower(t.Value), "%{p"):
		l.add(finding.Warning, "spf-ptr", "the macro %{p} should not be used any more",
			"it is slow and unreliable (RFC 7208, section 7.2)",
			"name the hosts by a:, mx:, ip4: or ip6:")
	case t.Name == "ip4" || t.Name == "ip6":
		lintNetwork(l, t)
	}
}

func lintNetwork(l *linter, t Term) {
	network, err := networkOf(t)
	if err != nil {
		return
	}
	wide := 8
	if network.Addr().Is6() {
		wide = 16
	}
	switch {
	case network.Bits() == 0:
		l.wrong(finding.Fault, "spf-pass-all",
			quote(t.String())+" lets everybody in the world send in the name of the domain",
			"forged mail passes SPF, and DMARC with it")
	case network.Bits() <= wide:
		l.wrong(finding.Warning, "spf-wide",
			fmt.Sprintf("%s lets a great part of the world send in the name of the domain",
				quote(t.String())), "forged mail from there passes SPF, and DMARC with it")
	}
	if network.Masked() != network {
		l.wrong(finding.Warning, "spf-host-bits",
			fmt.Sprintf("%s names one address and a network of %d bits: it stands for %s",
				quote(t.String()), network.Bits(), network.Masked()),
			"more hosts may send than was perhaps meant")
	}
	if a := network.Addr(); a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() ||
		a.IsUnspecified() && network.IsSingleIP() {
		l.wrong(finding.Warning, "spf-private",
			quote(t.String())+" is an address that the world never sees",
			"no mail comes to a receiver from there; the address that it does come from may be missing")
	}
}

func networkOf(t Term) (netip.Prefix, error) {
	address, err := netip.ParseAddr(t.Value)
	if err != nil {
		return netip.Prefix{}, err
	}
	if t.CIDR == "" {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(t.Value + t.CIDR)
}

func isMechanism(name string) bool {
	return slices.Contains([]string{"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}, name)
}
