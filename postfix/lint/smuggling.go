package lint

import (
	"strconv"
	"strings"

	"signpost/keystore/finding"
)

// smuggling looks at CVE-2023-51764: a line end without CR that hides the end of
// a message, and the start of a forged one.
func (l *linter) smuggling() {
	const name = "smtpd_forbid_bare_newline"
	value := strings.ToLower(l.config.Value(name))
	attack := "a client can hide a second message with any sender in the first (CVE-2023-51764)"
	good := "yes"
	if l.normalizes() {
		good = "normalize"
	}
	switch {
	case !l.config.Knows(name):
		l.add(finding.Finding{Code: "postfix-bare-newline", Level: finding.Warning, Name: name,
			What:   "Postfix " + l.config.Version() + " does not know it",
			Effect: attack,
			Fix: "install a later version: 3.5.23, 3.6.13, 3.7.9, 3.8.4, 3.9.0 or above; " +
				"until then set\nsmtpd_data_restrictions = reject_unauth_pipelining"})
	case value == "no":
		l.add(finding.Finding{Code: "postfix-bare-newline", Level: finding.Warning, Name: name,
			What:   "is no",
			Effect: attack,
			Fix:    name + " = " + good})
	case value == "yes" || value == "normalize" && (l.normalizes() || l.config.Version() == ""):
	case (value == "note" || value == "reject") && (l.normalizes() || l.config.Version() == ""):
	default:
		l.add(finding.Finding{Code: "postfix-bare-newline", Level: finding.Fault, Name: name,
			What:   strconv.Quote(value) + " is unknown to Postfix " + l.config.Version(),
			Effect: "smtpd stops at it, and no mail is taken",
			Fix:    name + " = " + good})
	}
	if l.config.Version() == "" && !l.config.IsSet(name) && l.old() {
		l.add(finding.Finding{Code: "postfix-bare-newline", Level: finding.Note, Name: name,
			What:   "is not set",
			Effect: "before Postfix 3.9 the default is no, and " + attack,
			Fix:    name + " = yes"})
	}
	const exclusions = name + "_exclusions"
	for _, network := range l.networksIn(l.config.Value(exclusions)) {
		if network.everybody() {
			l.add(finding.Finding{Code: "postfix-bare-newline", Level: finding.Warning, Name: exclusions,
				What:   "has " + network.text + ", which is everybody, so it protects nothing",
				Effect: attack,
				Fix:    exclusions + " = $mynetworks"})
		}
	}
	const pipelining = "smtpd_forbid_unauth_pipelining"
	if l.config.IsSet(pipelining) && strings.EqualFold(l.config.Value(pipelining), "no") {
		l.add(finding.Finding{Code: "postfix-unauth-pipelining", Level: finding.Note, Name: pipelining,
			What:   "is no",
			Effect: "clients that send before they were answered are let through, which smuggling needs",
			Fix:    pipelining + " = yes"})
	}
}

// old reports whether the Postfix may be one before 3.9: its level of
// compatibility, which cannot be above the version, is lower.
func (l *linter) old() bool {
	below, err := l.config.Expand("${{$compatibility_level} <level {3.9}}")
	return err != nil || below != ""
}

// normalizes reports whether this Postfix knows the value "normalize".
func (l *linter) normalizes() bool {
	parts := strings.SplitN(strings.SplitN(l.config.Version(), "-", 2)[0], ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	patch := 0
	if len(parts) == 3 {
		patch, _ = strconv.Atoi(parts[2])
	}
	first := map[int]int{5: 24, 6: 14, 7: 10, 8: 5} // of 3.x; from 3.9 on all
	least, listed := first[minor]
	return major > 3 || major == 3 && (minor >= 9 || listed && patch >= least)
}
