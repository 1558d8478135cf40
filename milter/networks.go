package milter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// PrivateNetworks are loopback and the addresses that are not routed in the
// Internet (RFC 1918, RFC 4193, link-local RFC 4291).
const PrivateNetworks = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7,fe80::/10"

// ParseNetworks reads networks and addresses, separated by commas or white
// space. The word none, alone, is the empty list: as a variable, an empty text is
// one that is not set.
func ParseNetworks(text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	if text == "none" {
		return nil, nil
	}
	for _, word := range Words(text) {
		// Postfix writes IPv6 in brackets: [::1]/128.
		plain := strings.NewReplacer("[", "", "]", "").Replace(word)
		network, err := netip.ParsePrefix(plain)
		if addr, addrErr := netip.ParseAddr(plain); addrErr == nil {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, finding.WithHint(fmt.Errorf("%q is not a network", word),
				"write it like 10.0.0.0/8 or fd00::/8")
		}
		if network.Addr().Is4In6() && network.Bits() >= 96 {
			// Clients come as IPv4 (RFC 4291, section 2.5.5.2), whatever the socket.
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// Within reports whether an address is in one of the networks. An IPv4 address
// counts as that, however the socket gave it; an interface does not count.
func Within(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// HostNetwork returns what one host has: an address, or of IPv6 the /64 that it commonly
// has for itself.
func HostNetwork(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.Prefix(bits) // there are that many
	return network
}

// Words splits a list at commas and white space.
func Words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
}
