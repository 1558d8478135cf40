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

// ParseNetworks reads networks and addresses, separated by commas or white space.
func ParseNetworks(text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, word := range words(text) {
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

// within reports whether an address is in one of the networks. An IPv4 address
// counts as that, however the socket gave it; an interface does not count.
func within(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// words splits a list at commas and white space.
func words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
}
