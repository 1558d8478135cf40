package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/net/publicsuffix"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/record/render"
)

func dmarcFlags() []cli.Flag {
	const policies = " `POLICY` is none|quarantine|reject"
	return []cli.Flag{
		&cli.StringFlag{Name: "policy", Value: "none", Usage: "DMARC p=, for mail that fails:" + policies},
		&cli.StringFlag{Name: "sp", Usage: "DMARC sp=, the same for subdomains:" + policies},
		&cli.StringFlag{Name: "np", Usage: "DMARC np=, for those that do not exist:" + policies},
		&cli.StringSliceFlag{Name: "rua", Usage: "DMARC rua=, `ADDRESS` for daily reports, or " +
			"none; repeatable (default: postmaster@DOMAIN)"},
		&cli.StringSliceFlag{Name: "ruf", Usage: "DMARC ruf=, `ADDRESS` for reports of single messages; repeatable"},
		&cli.StringFlag{Name: "adkim", Usage: "DMARC adkim=, `MODE` of DKIM: related to the " +
			"domain of From, or the same: r|s"},
		&cli.StringFlag{Name: "aspf", Usage: "DMARC aspf=, `MODE` of SPF: related to the domain " +
			"of From, or the same: r|s"},
		&cli.StringFlag{Name: "fo", Usage: "DMARC fo=, which `FAILURES` go to --ruf: 0, 1, d, s, or d:s"},
		&cli.BoolFlag{Name: "test", Usage: "DMARC t=y, receivers apply a policy one step milder"},
	}
}

// dmarcOf returns the policy that the flags describe, and whether reports go to
// postmaster of the domain. Without flags it asks for reports and for nothing
// else: a domain whose senders are not all known loses no mail.
func dmarcOf(c *cli.Context) (policy record.DMARC, toPostmaster bool, err error) {
	policy = record.DMARC{Policy: c.String("policy"), SubdomainPolicy: c.String("sp"),
		NonexistentPolicy: c.String("np"), Testing: c.Bool("test")}
	for _, name := range []string{"policy", "sp", "np"} {
		value := c.String(name)
		if value == "" && !c.IsSet(name) {
			continue
		}
		if _, err := settings.OneOf("none", "quarantine", "reject")(value); err != nil {
			return policy, false, usageError("--%s: %w", name, err)
		}
	}
	if policy.StrictDKIM, err = strict(c, "adkim"); err != nil {
		return policy, false, err
	}
	if policy.StrictSPF, err = strict(c, "aspf"); err != nil {
		return policy, false, err
	}
	if policy.FailureOptions, err = failureOptions(c.String("fo")); err != nil {
		return policy, false, err
	}
	toPostmaster = !c.IsSet("rua") && !c.Bool("no-mail")
	if !slices.Equal(c.StringSlice("rua"), []string{"none"}) {
		if policy.AggregateReports, err = reportAddresses(c, "rua"); err != nil {
			return policy, false, err
		}
	}
	if policy.FailureReports, err = reportAddresses(c, "ruf"); err != nil {
		return policy, false, err
	}
	if policy.FailureOptions != "" && policy.FailureReports == nil {
		warn(c, "--fo says which failures are reported to --ruf, and there is none")
	}
	if policy.Testing && policy.Policy == "none" {
		warn(c, "%w", finding.WithHint(errors.New("--test makes a policy milder, and none cannot be"),
			"--test goes with --policy quarantine or reject"))
	}
	if c.Bool("no-mail") {
		policy.Policy = "reject"
	}
	return policy, toPostmaster, nil
}

func strict(c *cli.Context, name string) (bool, error) {
	switch value := c.String(name); {
	case value == "s" || value == "strict":
		return true, nil
	case value == "r" || value == "relaxed" || !c.IsSet(name):
		return false, nil
	default:
		return false, usageError("--%s: %q must be r (relaxed) or s (strict)", name, value)
	}
}

func failureOptions(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	for option := range strings.SplitSeq(value, ":") {
		if !slices.Contains([]string{"0", "1", "d", "s"}, option) {
			return "", exitError{exitUsage, finding.WithHint(fmt.Errorf("--fo: %q must be 0, 1, d or s", option),
				"several go with a colon between, as in d:s")}
		}
	}
	return value, nil
}

// reportAddresses returns the mailto URIs of a flag.
func reportAddresses(c *cli.Context, name string) (uris []string, err error) {
	for _, value := range c.StringSlice(name) {
		address := strings.TrimSpace(value)
		if len(address) > 7 && strings.EqualFold(address[:7], "mailto:") {
			address = address[7:]
		}
		at := strings.LastIndexByte(address, '@')
		if at < 1 {
			return nil, exitError{exitUsage, finding.WithHint(fmt.Errorf("--%s: invalid mail address %q", name, value),
				"give it as dmarc@example.org")}
		}
		domain, err := keystore.Domain(address[at+1:])
		if err != nil {
			return nil, exitError{exitUsage, finding.WithHint(fmt.Errorf("--%s %q: %w", name, value, err),
				"give it as dmarc@example.org")}
		}
		// RFC 9989, section 4.8: what separates addresses must be encoded.
		local := strings.NewReplacer("%", "%25", ",", "%2C", "!", "%21", ";", "%3B", "?", "%3F", "#",
			"%23", "/", "%2F").Replace(address[:at])
		uri := "mailto:" + local + "@" + domain
		if err := record.CheckReportURI(uri); err != nil {
			return nil, usageError("--%s: invalid mail address %q: %w", name, value, err)
		}
		uris = append(uris, uri)
	}
	return uris, nil
}

// dmarcFor returns the policy of a domain.
func (p *dnsPlan) dmarcFor(domain string) record.DMARC {
	policy := p.policy
	if p.toPostmaster {
		policy.AggregateReports = []string{"mailto:postmaster@" + domain}
	}
	return policy
}

// dmarcRecords returns the policy record, and what other domains must publish
// to be sent reports about this one.
func dmarcRecords(domain string, policy record.DMARC) []render.Record {
	records := []render.Record{{Name: "_dmarc." + domain, Type: "TXT", Value: policy.String(), Why: policyWhy(policy)}}
	for _, uri := range slices.Concat(policy.AggregateReports, policy.FailureReports) {
		other := uri[strings.LastIndexByte(uri, '@')+1:]
		name := domain + "._report._dmarc." + other // RFC 9990, verifying external destinations
		known := slices.ContainsFunc(records, func(r render.Record) bool { return r.Name == name })
		if known || sameOrganization(domain, other) {
			continue
		}
		records = append(records, render.Record{Name: name, Type: "TXT", Value: "v=DMARC1",
			Why: fmt.Sprintf("DMARC: %s agrees to be sent the reports about %s; else it gets none", other, domain)})
	}
	return records
}

func policyWhy(policy record.DMARC) string {
	why := "DMARC: mail that fails both SPF and DKIM "
	level := policy.Policy
	if policy.Testing {
		level = map[string]string{"reject": "quarantine"}[level]
	}
	switch level {
	case "reject":
		why += "is refused"
	case "quarantine":
		why += "goes to spam"
	default:
		why += "is still delivered"
	}
	if policy.Testing && policy.Policy != "none" {
		why += fmt.Sprintf(" (one step milder than %s, for a test)", policy.Policy)
	}
	if len(policy.AggregateReports) > 0 {
		return why + "; reports come to " + strings.ReplaceAll(strings.Join(policy.AggregateReports,
			", "), "mailto:", "")
	}
	return why + "; no reports come"
}

// sameOrganization guesses without the DNS what receivers find by a tree walk
// (RFC 9989, section 4.10). An authorisation too many does no harm.
func sameOrganization(a, b string) bool {
	x, errX := publicsuffix.EffectiveTLDPlusOne(a)
	y, errY := publicsuffix.EffectiveTLDPlusOne(b)
	return a == b || errX == nil && errY == nil && x == y
}
