package postfix

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// host sets the name that Postfix goes by.
func (p *plan) host() error {
	variable, name := p.first("POSTFIX_myhostname", "HOSTNAME")
	if name == "" {
		variable, name = "the host's name", p.machine.Hostname
	}
	// Postfix stops at a name that its valid_hostname() does not like.
	if strings.Contains(name, "$") && variable == "POSTFIX_myhostname" {
		// to be expanded by Postfix
	} else if name == "" || strings.ContainsFunc(name, notInHostname) || strings.Trim(name, ".-") != name || strings.Contains(name, "..") {
		return fmt.Errorf("%s: %q is no host name; hint: set POSTFIX_myhostname to the full name, like mail.example.org", variable, name)
	}
	if !strings.ContainsAny(name, ".$") {
		p.warn("myhostname %q is not a full name, and receivers distrust that; hint: set POSTFIX_myhostname, like mail.example.org", name)
	}
	p.set("myhostname", name)
	p.set("myorigin", "$myhostname")
	return nil
}

func notInHostname(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r))
}

// networks sets who may send without a password: loopback and the private
// networks (RFC 1918; RFC 4193 and RFC 4291, section 2.5.6 for IPv6), for the
// clients of a container come from those.
func (p *plan) networks() error {
	variable, value := p.first("POSTFIX_mynetworks", "MYNETWORKS")
	if value == "" {
		value = "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 [::1]/128 [fc00::]/7 [fe80::]/10"
	}
	if strings.ContainsAny(value, "\n\r") {
		return fmt.Errorf("%s has more than one line; hint: put blanks between the networks", variable)
	}
	for _, network := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		if strings.HasSuffix(network, "/0") && !strings.HasPrefix(network, "!") {
			p.warn("%s has %s, so that anybody who reaches the port may send; hint: list only networks of your own", variable, network)
		}
	}
	p.set("mynetworks", value)
	return nil
}

// milter hands all mail to signpostd. While it cannot be reached mail is
// refused for now and not sent unsigned. Bounces are not handed over
// (internal_mail_filter_classes stays empty): they come from MAILER-DAEMON at
// the host's own name, which has no key, they go to senders of our own, and a
// milter that is down must not hold them up.
func (p *plan) milter() error {
	address := p.options.Milter
	settings, err := MilterSettings(address)
	if err != nil {
		return err
	}
	for _, s := range settings {
		p.put(s)
	}
	for _, name := range []string{"smtpd_milters", "non_smtpd_milters"} {
		variable := overridePrefix + name
		switch value := trimSpace(p.vars[variable]); {
		case !p.has(variable) || value == address:
		case value == "":
			p.warn("%s is empty, so mail leaves unsigned; hint: leave the variable out", variable)
		default:
			p.warn("%s=%s is not %s, so mail may leave unsigned; hint: leave the variable out, or set SIGNPOST_MILTER instead", variable, value, address)
		}
	}
	if p.theirs("milter_default_action") == "accept" && p.has(overridePrefix+"milter_default_action") {
		p.warn("%smilter_default_action=accept lets mail leave unsigned while signpostd is down; hint: leave the variable out", overridePrefix)
	}
	return nil
}

// checkMilter takes the forms of Postfix: inet:host:port, unix:/path and
// local:/path.
func checkMilter(address string) error {
	kind, rest, _ := strings.Cut(address, ":")
	switch {
	case strings.ContainsAny(address, " \t\n\v\f\r,{}$"):
	case kind == "inet" && strings.Contains(rest, "@"):
		port, host, _ := strings.Cut(rest, "@")
		return fmt.Errorf("milter %q is written as OpenDKIM does; hint: Postfix wants inet:%s:%s", address, host, port)
	case kind == "inet":
		host, port, err := net.SplitHostPort(rest)
		number, numberErr := strconv.Atoi(port)
		if err == nil && host != "" && numberErr == nil && number > 0 && number < 1<<16 {
			return nil
		}
	case (kind == "unix" || kind == "local") && strings.HasPrefix(rest, "/"):
		return nil
	}
	return fmt.Errorf("milter %q is no address; hint: write inet:host:port, like inet:signpostd:8891, or unix:/path", address)
}
