package lint

import (
	"net/netip"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// A network is an entry of mynetworks.
type network struct {
	text   string
	prefix netip.Prefix // not valid for a map or a name
}

// networksIn reads a list of networks. Exclusions, maps and names are left out,
// but for static:, which matches everybody.
func (l *linter) networksIn(list string) []network {
	var out []network
	for _, word := range postfix.List(list) {
		text := strings.NewReplacer("[", "", "]", "").Replace(word)
		n := network{text: word}
		if prefix, err := netip.ParsePrefix(text); err == nil {
			n.prefix = prefix
		} else if ip, err := netip.ParseAddr(text); err == nil {
			n.prefix = netip.PrefixFrom(ip, ip.BitLen())
		} else if !strings.HasPrefix(word, "static:") {
			continue
		}
		out = append(out, n)
	}
	return out
}

func (n network) everybody() bool { return !n.prefix.IsValid() || n.prefix.Bits() == 0 }

// wide reports whether the network is public and larger than one owner's: /16
// of IPv4, /32 of IPv6.
func (n network) wide() bool {
	ip := n.prefix.Addr()
	private := ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() ||
		netip.MustParsePrefix("100.64.0.0/10").Contains(ip) || netip.MustParsePrefix("fc00::/7").Contains(ip)
	least := 16
	if ip.Is6() {
		least = 32
	}
	// 10.0.0.0/4 begins with a private address, and is wide all the same.
	inside := private && n.prefix.Bits() >= map[bool]int{false: 8, true: 7}[ip.Is6()]
	return !inside && n.prefix.Bits() < least
}

// networks looks at who needs no password.
func (l *linter) networks() {
	const ask = "anybody there may send mail to anywhere, and it is signed"
	set := l.config.IsSet("mynetworks")
	for _, n := range l.networksIn(l.config.Value("mynetworks")) {
		switch {
		case n.everybody():
			l.add(finding.Finding{Code: "postfix-mynetworks-open", Level: finding.Fault, Name: "mynetworks",
				What:   "has " + n.text + ", which is everybody",
				Effect: "an open relay: anybody who reaches the port may send mail to anywhere",
				Fix:    "mynetworks = 127.0.0.0/8 [::1]/128 and the networks of your own programs"})
		case set && n.wide():
			l.add(finding.Finding{Code: "postfix-mynetworks-wide", Level: finding.Warning, Name: "mynetworks",
				What:   "has " + n.text + ", a large public network",
				Effect: ask,
				Fix:    "mynetworks = 127.0.0.0/8 [::1]/128 and the networks of your own programs"})
		case set && n.prefix.Contains(netip.AddrFrom4([4]byte{172, 17, 0, 1})):
			l.add(finding.Finding{Code: "postfix-mynetworks-docker", Level: finding.Note, Name: "mynetworks",
				What: "has " + n.text + ", which holds the gateway of Docker's default network",
				Effect: "a client from outside that comes through a published port can look like " +
					"the gateway, and may then send; publish ports on 127.0.0.1 only",
				Fix: "ports: [\"127.0.0.1:1587:587\"] in the compose file"})
		}
	}
	if style := l.config.Value("mynetworks_style"); !set && (style == "subnet" || style == "class") {
		level, who := finding.Warning, "the subnets of this host's addresses"
		if style == "class" {
			who = "the whole class A, B or C networks of this host's addresses"
		}
		l.add(finding.Finding{Code: "postfix-mynetworks-style", Level: level, Name: "mynetworks_style",
			What:   "is " + style + ": mynetworks are " + who,
			Effect: ask,
			Fix:    "mynetworks_style = host"})
	}
	for _, word := range postfix.List(l.config.Value("relay_domains")) {
		switch {
		case strings.HasPrefix(word, "static:"):
			l.add(finding.Finding{Code: "postfix-relay-domains", Level: finding.Fault, Name: "relay_domains",
				What:   "is " + word + ", which is every domain",
				Effect: "an open relay: anybody who reaches the port may send mail to anywhere",
				Fix:    "relay_domains ="})
		case word == "*":
			l.add(finding.Finding{Code: "postfix-relay-domains", Level: finding.Note, Name: "relay_domains",
				What:   "has *, which stands for no domain",
				Effect: "it does nothing",
				Fix:    "relay_domains ="})
		}
	}
}
