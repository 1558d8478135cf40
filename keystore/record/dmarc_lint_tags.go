package record

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"signpost/keystore/finding"
)

// tag checks one tag after v=.
func (l *dmarcLinter) tag(t Tag) {
	value := strings.ToLower(t.Value)
	switch t.Name {
	case "p", "sp", "np":
		if !isPolicy(value) {
			l.wrong(finding.Fault, "dmarc-wrong-policy", t.Name+"="+t.Value+" is none of none, quarantine and reject",
				"receivers treat the record as p=none if it has a valid rua=, and else as no "+
					"policy (RFC 9989, section 4.10.1)")
		}
	case "rua", "ruf":
		l.uris(t)
	case "adkim", "aspf":
		l.oneOf(t, "r", "s")
	case "t":
		l.oneOf(t, "y", "n")
	case "psd":
		l.oneOf(t, "y", "n", "u")
	case "fo":
		if !isFailureOptions(value) {
			l.wrong(finding.Warning, "dmarc-wrong-value",
				"fo="+t.Value+" is none of 0, 1, d, s and d:s", "receivers ignore it and use fo=0")
		} else if strings.Contains(value, ":") && strings.ContainsAny(value, "01") {
			l.wrong(finding.Note, "dmarc-wrong-value", "fo="+t.Value+" mixes numbers and letters",
				"RFC 9989 has 0, 1, d, s and d:s; receivers may ignore it")
		}
	case "pct":
		l.percent(t.Value)
	case "rf", "ri":
		l.wrong(finding.Note, "dmarc-removed-tag", "tag "+t.Name+"= is no longer part of DMARC",
			"receivers ignore it (RFC 9989, appendix C)")
	case "v", "":
	default:
		l.unknown(t)
	}
}

func (l *dmarcLinter) oneOf(t Tag, values ...string) {
	if !slices.Contains(values, strings.ToLower(t.Value)) {
		l.wrong(finding.Warning, "dmarc-wrong-value", fmt.Sprintf("%s=%s is none of %s", t.Name,
			t.Value, strings.Join(values, ", ")),
			"receivers ignore it, and use the default")
	}
}

// percent: pct= is gone, but for what t=y can say.
func (l *dmarcLinter) percent(value string) {
	n, err := strconv.Atoi(value)
	switch {
	case err == nil && n >= 100:
		l.wrong(finding.Note, "dmarc-removed-tag", "tag pct= is no longer part of DMARC",
			"pct=100 was the default anyhow")
	case err == nil && n == 0:
		l.wrong(finding.Warning, "dmarc-removed-tag", "tag pct= is no longer part of DMARC; t=y replaces pct=0",
			"receivers that know RFC 9989 ignore it and apply the policy to all mail")
	default:
		l.wrong(finding.Warning, "dmarc-removed-tag",
			"tag pct="+value+" is no longer part of DMARC, and nothing replaces it",
			"receivers that know RFC 9989 ignore it and apply the policy to all mail")
	}
}

var dmarcTags = []string{"v", "p", "sp", "np", "rua", "ruf", "adkim", "aspf", "fo", "t", "psd"}

func (l *dmarcLinter) unknown(t Tag) {
	if !isTagName(t.Name) {
		return // that is said already
	}
	if meant := meantTag(t.Name); meant != "" {
		l.wrong(finding.Warning, "dmarc-unknown-tag",
			fmt.Sprintf("tag %s= is not known; perhaps %s= is meant", t.Name, meant), "receivers ignore it")
		return
	}
	l.note("dmarc-unknown-tag", "tag "+t.Name+"= is not known", "receivers ignore it")
}

// meantTag returns the tag that a misspelt one most likely stands for, or "".
func meantTag(name string) string {
	lower := strings.ToLower(name)
	switch lower {
	case "policy":
		return "p"
	case "pct", "rf", "ri":
		return ""
	}
	if slices.Contains(dmarcTags, lower) {
		return lower
	}
	if len(lower) < 3 {
		return ""
	}
	return nearest(lower, "rua", "ruf", "adkim", "aspf")
}

func (l *dmarcLinter) uris(t Tag) {
	if t.Value == "" {
		l.wrong(finding.Warning, "dmarc-bad-uri", t.Name+"= is empty", "nobody sends reports")
		return
	}
	for entry := range strings.SplitSeq(t.Value, ",") {
		entry = strings.Trim(entry, whiteSpace)
		uri, size, sized := strings.Cut(entry, "!")
		err := CheckReportURI(uri)
		switch {
		case err != nil && !strings.Contains(uri, ":") && strings.Contains(uri, "@"):
			l.wrong(finding.Warning, "dmarc-no-mailto",
				fmt.Sprintf("%s=%s has no mailto: before the address", t.Name, entry),
				"receivers ignore it, and send no reports there")
		case err != nil:
			what, _ := finding.Split(err)
			l.wrong(finding.Warning, "dmarc-bad-uri",
				fmt.Sprintf("%s=%s is not an address for reports: %s", t.Name, entry, what),
				"receivers ignore it, and send no reports there")
		case !strings.HasPrefix(strings.ToLower(uri), "mailto:"):
			l.wrong(finding.Warning, "dmarc-no-mailto", fmt.Sprintf("%s=%s is not a mailto: address",
				t.Name, entry), "receivers send reports by mail only")
		case sized:
			l.wrong(finding.Note, "dmarc-uri-size",
				fmt.Sprintf("the size limit !%s after an address is no longer part of DMARC", size),
				"receivers ignore it")
		}
	}
}

// mendDMARC reads a record with the slips that people make put right. It always
// has a policy.
func mendDMARC(text string) DMARC {
	tags := []Tag{{"v", "DMARC1"}}
	for _, t := range splitTags(text) {
		if meant := meantTag(t.Name); meant != "" {
			t.Name = meant
		}
		switch t.Name {
		case "v", "":
			continue
		case "p", "sp", "np":
			t.Value = strings.ToLower(t.Value)
			if !isPolicy(t.Value) {
				t.Value = nearest(t.Value, strength...)
			}
		case "rua", "ruf":
			t.Value = mendURIs(t.Value)
		case "fo":
			if strings.Contains(t.Value, "1") {
				t.Value = "1" // it asks for more than the letters do
			}
		case "pct":
			if t.Value != "0" {
				continue
			}
			t = Tag{"t", "y"}
		}
		if t.Value != "" {
			tags = append(tags, t)
		}
	}
	if !slices.ContainsFunc(tags, func(t Tag) bool { return t.Name == "p" }) {
		tags = append(tags, Tag{"p", "none"})
	}
	var b strings.Builder
	for _, t := range tags {
		b.WriteString(t.Name + "=" + t.Value + ";")
	}
	r, _ := ParseDMARC(b.String())
	r.SubdomainPolicy = strongestIfSet(r.SubdomainPolicy, r.Policy)
	r.NonexistentPolicy = strongestIfSet(r.NonexistentPolicy, strongest(r.Policy, r.SubdomainPolicy))
	if r.PublicSuffix == "y" {
		r.PublicSuffix = ""
	}
	return r
}

// strongestIfSet drops a policy that is weaker than what holds without it.
func strongestIfSet(policy, without string) string {
	if weaker(policy, without) {
		return ""
	}
	return policy
}

func mendURIs(list string) string {
	var uris []string
	for _, entry := range strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) }) {
		entry, _, _ = strings.Cut(entry, "!")
		entry = strings.Trim(entry, "<>")
		if rest, found := strings.CutPrefix(entry, "mailto:"); found || !strings.Contains(entry, ":") {
			entry = "mailto:" + strings.TrimLeft(rest, "/")
		}
		if CheckReportURI(entry) == nil && strings.HasPrefix(entry, "mailto:") {
			uris = append(uris, entry)
		}
	}
	return strings.Join(uris, ",")
}
