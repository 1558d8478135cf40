package migrate

import (
	"fmt"
	"net/netip"
	"strings"

	"signpost/keystore/finding"
)

// trusted carries over InternalHosts: whose mail is signed without a login.
func (r *reader) trusted(d directive, from string) {
	set, err := r.dataset(d.value, d.at)
	if err != nil {
		r.badSet(d, err, "whose mail is signed is not carried over")
		return
	}
	networks := r.networks(set.entries, d.name)
	if len(networks) > 0 {
		r.set("SIGNPOST_TRUSTED_NETWORKS", strings.Join(networks, ","), from,
			"clients whose mail is signed without a login")
	}
}

// networks returns the addresses and networks of a list of hosts. Names are
// reported: whoever owns the reverse zone would choose who is trusted.
func (r *reader) networks(entries []entry, list string) []string {
	var networks []string
	add := func(network string) {
		for _, have := range networks {
			if have == network {
				return
			}
		}
		networks = append(networks, network)
	}
	for _, e := range entries {
		plain := strings.NewReplacer("[", "", "]", "").Replace(e.key)
		prefix, prefixErr := netip.ParsePrefix(plain)
		_, addrErr := netip.ParseAddr(plain)
		switch {
		case prefixErr == nil && prefix.Bits() == 0:
			add(plain)
			r.note("import-open", e.at, "%s trusts every client: whoever reaches Postfix gets its mail signed", plain)
		case prefixErr == nil || addrErr == nil:
			add(plain)
		case strings.EqualFold(plain, "localhost"):
			add("127.0.0.1")
			add("::1")
		case strings.HasPrefix(plain, "!"):
			r.report(finding.Warning, "import-host", e.at,
				fmt.Sprintf("%s: an exception %q cannot be carried over", list, e.key),
				"signpostd trusts whole networks", "write the networks without the exception")
		default:
			r.report(finding.Warning, "import-host", e.at,
				fmt.Sprintf("%s: the host name %q cannot be carried over", list, e.key),
				"signpostd trusts addresses and networks only", "add the addresses of that host to SIGNPOST_TRUSTED_NETWORKS")
		}
	}
	return networks
}
