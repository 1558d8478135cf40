package setup

import (
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// host sets the name that Postfix goes by.
func (p *plan) host() error {
	variable, name := p.first("POSTFIX_myhostname", "HOSTNAME")
	if name == "" {
		variable, name = "the host's name", p.machine.Hostname
	}
	short := !strings.ContainsAny(name, ".$")
	if short && variable != "POSTFIX_myhostname" && isNumber(name) {
		// A container without a name has one of 12 hexadecimal digits: one in 280 is a number.
		name += ".localdomain"
	}
	if strings.Contains(name, "$") && variable == "POSTFIX_myhostname" {
		// to be expanded by Postfix
	} else if !isHostname(name) {
		return finding.WithHint(fmt.Errorf("%s: invalid host name %q", variable, name),
			"set POSTFIX_myhostname to the full name, like mail.example.org")
	}
	if short {
		p.warn(fmt.Errorf("myhostname %q is not a full name, and receivers distrust that", name),
			"set POSTFIX_myhostname, like mail.example.org")
	}
	p.set("myhostname", name)
	p.set("myorigin", "$myhostname")
	return nil
}

// isHostname goes by valid_hostname() of Postfix, which stops at any other myhostname.
func isHostname(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, notInHostname) {
			return false
		}
	}
	return len(name) <= 255 && !isNumber(strings.ReplaceAll(name, ".", ""))
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

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
		return finding.WithHint(fmt.Errorf("%s has more than one line", variable),
			"put blanks between the networks")
	}
	for _, network := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		if strings.HasSuffix(network, "/0") && !strings.HasPrefix(network, "!") {
			p.warn(fmt.Errorf("%s has %s, so that anybody who reaches the port may send", variable, network),
				"list only networks of your own")
		}
	}
	p.set("mynetworks", value)
	return nil
}
