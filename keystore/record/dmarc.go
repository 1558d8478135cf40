package record

import (
	"errors"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// DMARC is a policy record (RFC 9989, section 4.7). The zero value of a field is
// the default of its tag.
type DMARC struct {
	// Policies: "none", "quarantine" or "reject"; empty when the tag is absent.
	Policy            string // p=
	SubdomainPolicy   string // sp=, of subdomains that exist
	NonexistentPolicy string // np=, of those that do not

	AggregateReports []string // rua=, URIs such as mailto:dmarc@example.org
	FailureReports   []string // ruf=

	StrictDKIM     bool   // adkim=s
	StrictSPF      bool   // aspf=s
	FailureOptions string // fo=, "1", "d", "s" or "d:s"; empty for "0"
	Testing        bool   // t=y
	PublicSuffix   string // psd=, "y" or "n"; empty for "u"
}

// String returns the record as one line of text, without tags that say no more
// than the default.
func (r DMARC) String() string {
	tags := []Tag{{"v", "DMARC1"}}
	add := func(name, value string, set bool) {
		if set {
			tags = append(tags, Tag{name, value})
		}
	}
	add("p", r.Policy, r.Policy != "")
	add("sp", r.SubdomainPolicy, r.SubdomainPolicy != "")
	add("np", r.NonexistentPolicy, r.NonexistentPolicy != "")
	add("rua", strings.Join(r.AggregateReports, ","), len(r.AggregateReports) > 0)
	add("ruf", strings.Join(r.FailureReports, ","), len(r.FailureReports) > 0)
	add("adkim", "s", r.StrictDKIM)
	add("aspf", "s", r.StrictSPF)
	add("fo", r.FailureOptions, r.FailureOptions != "" && r.FailureOptions != "0")
	add("t", "y", r.Testing)
	add("psd", r.PublicSuffix, r.PublicSuffix != "" && r.PublicSuffix != "u")
	parts := make([]string, len(tags))
	for i, t := range tags {
		parts[i] = t.Name + "=" + t.Value
	}
	return strings.Join(parts, "; ")
}

// ErrNotDMARC says that a text is no policy record at all, so that its readers
// go on as if it were not there.
var ErrNotDMARC = errors.New("it does not begin with v=DMARC1")

// ParseDMARC reads a policy record as a receiver does (RFC 9989, sections 4.7
// and 4.10.1): what it does not know or cannot read counts for nothing. The
// error is ErrNotDMARC.
//
// Where p= is missing or wrong, or sp= or np= is wrong, the policy is "none" if
// there is an address for reports; if not, Policy is empty, and the record
// counts as no policy.
func ParseDMARC(text string) (DMARC, error) {
	var r DMARC
	tags := splitTags(text)
	if tags[0] != (Tag{"v", "DMARC1"}) {
		return r, ErrNotDMARC
	}
	valid := true
	policy := func(value string) string {
		value = strings.ToLower(value)
		if isPolicy(value) {
			return value
		}
		valid = false
		return ""
	}
	seen := make(map[string]bool)
	for _, t := range tags[1:] {
		if seen[t.Name] {
			continue
		}
		seen[t.Name] = true
		switch value := strings.ToLower(t.Value); t.Name {
		case "p":
			r.Policy = policy(value)
		case "sp":
			r.SubdomainPolicy = policy(value)
		case "np":
			r.NonexistentPolicy = policy(value)
		case "rua":
			r.AggregateReports = reportURIs(t.Value)
		case "ruf":
			r.FailureReports = reportURIs(t.Value)
		case "adkim":
			r.StrictDKIM = value == "s"
		case "aspf":
			r.StrictSPF = value == "s"
		case "fo":
			if isFailureOptions(value) && value != "0" {
				r.FailureOptions = value
			}
		case "t":
			r.Testing = value == "y"
		case "psd":
			if value == "y" || value == "n" {
				r.PublicSuffix = value
			}
		}
	}
	if !valid || r.Policy == "" {
		r.Policy, r.SubdomainPolicy, r.NonexistentPolicy = "", "", ""
		if len(r.AggregateReports) > 0 {
			r.Policy = "none"
		}
	}
	return r, nil
}

func isPolicy(value string) bool {
	return slices.Contains([]string{"none", "quarantine", "reject"}, value)
}

// isFailureOptions takes the letters in any number and order, and, as RFC 7489
// did, "0" and "1" among them.
func isFailureOptions(value string) bool {
	for option := range strings.SplitSeq(value, ":") {
		if !slices.Contains([]string{"0", "1", "d", "s"}, strings.Trim(option, whiteSpace)) {
			return false
		}
	}
	return true
}

// reportURIs returns the URIs of a list that are syntactically valid, without
// the size limit that RFC 7489 let follow them.
func reportURIs(list string) []string {
	var uris []string
	for entry := range strings.SplitSeq(list, ",") {
		entry, _, _ = strings.Cut(strings.Trim(entry, whiteSpace), "!")
		if CheckReportURI(entry) == nil {
			uris = append(uris, entry)
		}
	}
	return uris
}

// CheckReportURI reports what is wrong with an address for reports. Commas and
// exclamation marks must be percent-encoded (RFC 9989, section 4.8).
func CheckReportURI(uri string) error {
	if at := strings.IndexAny(uri, " \t\r\n,;!\"<>\\"); at >= 0 {
		return errors.New("the character " + quote(uri[at:at+1]) + " cannot stand in it")
	}
	parsed, err := url.Parse(uri)
	switch {
	case err != nil:
		return errors.New("not a URI")
	case parsed.Scheme == "" && strings.Contains(uri, "@"):
		return errors.New("it has no mailto: in front")
	case parsed.Scheme == "":
		return finding.WithHint(errors.New("not a URI"),
			"give it as mailto:dmarc@example.org")
	case !strings.EqualFold(parsed.Scheme, "mailto"):
		return nil // allowed, though nobody reports there
	}
	address, err := url.PathUnescape(parsed.Opaque)
	if err != nil {
		return errors.New("not a URI")
	}
	if found, err := mail.ParseAddress(address); err != nil || found.Address != address || found.Name != "" {
		return errors.New("after mailto: must come one address")
	}
	return nil
}
