package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/record/render"
)

func spfFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "mx", Usage: "SPF: the servers of its MX may send (default if no others are named)"},
		&cli.BoolFlag{Name: "a", Usage: "SPF: the hosts of its own A and AAAA may send"},
		&cli.StringSliceFlag{Name: "ip", Usage: "SPF: `ADDRESS` may send, or a network such as " +
			"192.0.2.0/24; repeatable"},
		&cli.StringSliceFlag{Name: "include", Usage: "SPF: include `DOMAIN`, whose servers may send too; repeatable"},
		&cli.StringFlag{Name: "all", Value: "-all",
			Usage: "SPF: the result for `ALL` other hosts: -all (fail), ~all (softfail) or ?all (neutral)"},
		&cli.StringFlag{Name: "spf", Usage: "SPF: the whole `RECORD`, in place of the flags above"},
	}
}

// spfOf returns the record that the flags describe: "v=spf1 mx -all" when they
// say nothing.
func spfOf(c *cli.Context) (record.SPF, error) {
	if c.Bool("no-mail") {
		return record.SPF{Terms: []record.Term{{Qualifier: "-", Name: "all"}}}, nil
	}
	if c.IsSet("spf") {
		for _, name := range []string{"mx", "a", "ip", "include", "all"} {
			if c.IsSet(name) {
				return record.SPF{}, usageError("--spf is the whole record, so --%s does not go with it", name)
			}
		}
		spf, err := record.ParseSPF(c.String("spf"))
		if err != nil {
			return spf, usageError("--spf %q: %w", c.String("spf"), err)
		}
		return spf, nil
	}
	var spf record.SPF
	if c.Bool("mx") || !(c.Bool("a") || c.IsSet("ip") || c.IsSet("include")) {
		spf.Terms = append(spf.Terms, record.Term{Name: "mx"})
	}
	if c.Bool("a") {
		spf.Terms = append(spf.Terms, record.Term{Name: "a"})
	}
	for _, value := range c.StringSlice("ip") {
		term, err := ipTerm(value)
		if err != nil {
			return spf, usageError("--ip %q: %w", value, err)
		}
		spf.Terms = append(spf.Terms, term)
	}
	for _, value := range c.StringSlice("include") {
		term, err := includeTerm(value)
		if err != nil {
			return spf, usageError("--include %q: %w", value, err)
		}
		spf.Terms = append(spf.Terms, term)
	}
	all, err := allTerm(c.String("all"))
	if err != nil {
		return spf, usageError("--all %q: %w", c.String("all"), err)
	}
	spf.Terms = append(spf.Terms, all)
	return spf, checkLookups(spf)
}

// checkLookups counts what is known without asking the DNS: what is included
// looks up more.
func checkLookups(spf record.SPF) error {
	lookups := 0
	for _, term := range spf.Terms {
		if term.LooksUp() {
			lookups++
		}
	}
	if lookups > record.MaxLookups {
		return exitError{exitUsage, finding.WithHint(
			fmt.Errorf("--include: the SPF record would need %d lookups or more, and receivers give up after %d",
				lookups, record.MaxLookups),
			"name addresses with --ip")}
	}
	return nil
}

func ipTerm(value string) (record.Term, error) {
	address, network := value, ""
	if at := strings.IndexByte(value, '/'); at >= 0 {
		address, network = value[:at], value[at:]
		prefix, err := netip.ParsePrefix(value)
		switch {
		case err != nil:
			return record.Term{}, finding.WithHint(errors.New("not a network"),
				"give it as 192.0.2.0/24 or 2001:db8::/32")
		case prefix.Masked() != prefix:
			return record.Term{}, finding.WithHint(errors.New("the network begins elsewhere"),
				"%s, or %s for the one address", prefix.Masked(), prefix.Addr())
		case prefix.Bits() < 8:
			return record.Term{}, finding.WithHint(errors.New("a good part of the world could send in its name"),
				"a network of yours ends in /%d or more", prefix.Addr().BitLen()/2)
		}
	}
	ip, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return record.Term{}, finding.WithHint(errors.New("not an IP address"),
			"the A and AAAA of its own name are --a, other names need --spf")
	case ip.Zone() != "" || ip.Is4In6():
		return record.Term{}, finding.WithHint(errors.New("not an address that receivers see"),
			"give it as 192.0.2.1 or 2001:db8::1")
	case !ip.IsGlobalUnicast() || ip.IsPrivate():
		return record.Term{}, finding.WithHint(errors.New("not a public address"),
			"give the address that the mail leaves your network with")
	case ip.Is4():
		return record.Term{Name: "ip4", Value: ip.String(), CIDR: network}, nil
	}
	return record.Term{Name: "ip6", Value: ip.String(), CIDR: network}, nil
}

func includeTerm(value string) (record.Term, error) {
	if _, err := netip.ParseAddr(value); err == nil {
		return record.Term{}, finding.WithHint(errors.New("an address, not a domain"),
			"--ip %s", value)
	}
	if strings.Contains(value, "@") {
		return record.Term{}, finding.WithHint(errors.New("a mail address, not a domain"),
			"give the domain whose SPF record is to be included")
	}
	term, err := record.ParseTerm("include:" + strings.TrimSuffix(value, "."))
	if err != nil {
		return term, finding.WithHint(errors.New("not a domain name"),
			"give it as _spf.example.net")
	}
	return term, nil
}

func allTerm(value string) (record.Term, error) {
	switch value {
	case "-all", "~all", "?all":
		return record.Term{Qualifier: value[:1], Name: "all"}, nil
	case "+all", "all":
		return record.Term{}, finding.WithHint(errors.New("the whole world could send in its name"),
			"-all, or ~all while you find out who sends")
	}
	return record.Term{}, fmt.Errorf("must be -all, ~all or ?all")
}

// spfRecord returns the record of a domain.
func (p *dnsPlan) spfRecord(domain string) render.Record {
	why := "SPF: who may send as " + domain
	for _, term := range p.spf.Terms {
		if term.Name == "all" {
			why += map[string]string{"-": "; all others forge it", "~": "; all others are suspect"}[term.Qualifier]
		}
	}
	if p.noMail {
		why = "SPF: no server may send as " + domain
	}
	// RFC 7208, section 4.5.
	return render.Record{Name: domain, Type: "TXT", Value: p.spf.String(), Why: why + ". A name has one SPF record"}
}

// lintSPF warns of what is wrong with a record, and reports whether mail would
// suffer.
func lintSPF(c *cli.Context, r render.Record) (fault bool) {
	for _, f := range record.LintSPF(r.Name, []record.TXT{record.NewTXT(r.Value)}) {
		if f.Level == finding.Fault || f.Level == finding.Warning {
			warn(c, "SPF of %s: %s", f.Name, f.What)
			fault = fault || f.Level == finding.Fault
		}
	}
	return fault
}
