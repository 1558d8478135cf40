package migrate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// trusted carries over InternalHosts: whose mail is signed without a login.
func (r *reader) trusted(d directive, from string) {
	set, err := r.dataset(d.value, d.at)
	if err != nil {
		r.badSet(d, err, "whose mail is signed is not carried over: signpostd trusts the private networks")
		return
	}
	set.entries = slices.DeleteFunc(set.entries, func(e entry) bool { return r.fitsNothing(e, d.name, set.kind) })
	r.trust(r.networks(set.entries, d.name), from, "clients whose mail is signed without a login")
}

// trust sets whose mail is signed without a login. Without the variable that
// would be all private networks, so it is set where there is nobody, too.
func (r *reader) trust(networks []string, from, why string) {
	if len(networks) == 0 {
		networks, why = []string{"none"}, "only mail of clients that log in is signed, and that by sendmail(1)"
	}
	r.set("SIGNPOST_TRUSTED_NETWORKS", strings.Join(networks, ","), from, why)
}

// fitsNothing reports whether no client is ever found by an entry of a list of
// OpenDKIM, and notes that. It looks for the text of the client's address, and
// of each network about it, as inet_ntop(3) writes them: 192.168.0.1/24 is none.
func (r *reader) fitsNothing(e entry, list, kind string) bool {
	plain := bare(e.key)
	meant := ""
	if prefix, err := netip.ParsePrefix(plain); err == nil {
		meant = prefix.Masked().String()
	} else if addr, err := netip.ParseAddr(plain); err == nil {
		meant = addr.String()
	} else if !strings.Contains(plain, "/") && (kind == "refile" || !strings.Contains(plain, "*")) {
		return plain == "-" // how some write the empty list; others are names of hosts
	}
	if strings.HasPrefix(plain, "!") || strings.EqualFold(plain, meant) {
		return false
	}
	fix := ""
	if meant != "" {
		fix = "add " + meant + " to SIGNPOST_TRUSTED_NETWORKS, if that was meant"
	}
	r.report(finding.Note, "import-host", e.at,
		fmt.Sprintf("%s: OpenDKIM finds no client by %q, so it is left out", list, e.key), "", fix)
	return true
}

// bare takes off the brackets that may be about an address: [::1]/128.
func bare(host string) string {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		addr, length, ok := strings.Cut(rest, "]")
		if ok && !strings.Contains(addr, "/") && (length == "" || length[0] == '/') {
			return addr + length
		}
	}
	return host
}

// networks returns the addresses and networks of a list of hosts. Names are
// reported: whoever owns the reverse zone would choose who is trusted.
func (r *reader) networks(entries []entry, list string) []string {
	var networks []string
	add := func(network string) {
		if !slices.Contains(networks, network) {
			networks = append(networks, network)
		}
	}
	for _, e := range entries {
		plain := bare(e.key)
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
				"signpostd trusts addresses and networks only",
				"add the addresses of that host to SIGNPOST_TRUSTED_NETWORKS")
		}
	}
	return networks
}
