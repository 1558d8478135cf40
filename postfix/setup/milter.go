package setup

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// milter hands all mail to signpostd. While it cannot be reached mail is
// deferred and not sent unsigned.
func (p *plan) milter() error {
	address := p.request.Milter
	settings, err := MilterParameters(address)
	if err != nil {
		return err
	}
	for _, s := range settings {
		p.put(s)
	}
	for _, name := range []string{"smtpd_milters", "non_smtpd_milters"} {
		variable := overridePrefix + name
		switch value := postfix.TrimSpace(p.vars[variable]); {
		case !p.has(variable) || value == address:
		case value == "":
			p.warn(fmt.Errorf("%s is empty, so mail leaves unsigned", variable), "leave the variable out")
		default:
			p.warn(fmt.Errorf("%s=%s is not %s, so mail may leave unsigned", variable, value, address),
				"leave the variable out, or set SIGNPOST_MILTER instead")
		}
	}
	if p.theirs("milter_default_action") == "accept" && p.has(overridePrefix+"milter_default_action") {
		p.warn(fmt.Errorf("%smilter_default_action=accept lets mail leave unsigned while signpostd is down", overridePrefix),
			"leave the variable out")
	}
	return nil
}

// checkMilter takes the forms of Postfix: inet:host:port, unix:path and local:path. A
// relative path starts at the queue directory, in a chroot and outside.
func checkMilter(address string) error {
	kind, rest, _ := strings.Cut(address, ":")
	switch {
	case strings.ContainsAny(address, " \t\n\v\f\r,{}$"):
	case kind == "inet" && strings.Contains(rest, "@"):
		port, host, _ := strings.Cut(rest, "@")
		return finding.WithHint(fmt.Errorf("milter %q is written as OpenDKIM does", address),
			"Postfix wants inet:%s:%s", host, port)
	case kind == "inet":
		host, port, err := net.SplitHostPort(rest)
		number, numberErr := strconv.Atoi(port)
		if err == nil && host != "" && numberErr == nil && number > 0 && number < 1<<16 {
			return nil
		}
	case (kind == "unix" || kind == "local") && rest != "":
		return nil
	}
	return finding.WithHint(fmt.Errorf("invalid milter address %q", address),
		"write inet:host:port, like inet:signpostd:8891, or unix:/path")
}

// MilterParameters are the parameters that an existing Postfix needs to have its
// mail signed: the milter for mail by SMTP and by sendmail(1), and mail deferred
// while the milter cannot be reached.
func MilterParameters(address string) ([]postfix.Parameter, error) {
	if err := checkMilter(address); err != nil {
		return nil, err
	}
	return []postfix.Parameter{
		{Name: "smtpd_milters", Value: address},
		{Name: "non_smtpd_milters", Value: address},
		{Name: "milter_default_action", Value: "tempfail"},
		{Name: "milter_protocol", Value: "6"},
	}, nil
}
