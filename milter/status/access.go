package status

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"signpost/milter"
)

// Access says which requests are answered with more than whether mail can be signed,
// for the pages name domains and clients.
type Access struct {
	// Peers are the networks that may ask. A request by a unix socket is always
	// answered: access is controlled by the permissions of its directory.
	Peers []netip.Prefix
	// Hosts are names of ours beside those that can be nobody else's.
	Hosts []string
}

// peer reports whether the other end of a connection may ask.
func (a *Access) peer(r *http.Request) bool {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return true // a unix socket
	}
	return milter.Within(a.Peers, remote.Addr())
}

// host reports whether a request names us. A site can have its own name resolve to
// our address, and a browser that shows it then hands our answers to that site (DNS
// rebinding). The site needs a name for that, one that it owns: so the request must
// have an address, a name that nobody can register in the public DNS, or one of Hosts.
func (a *Access) host(r *http.Request) bool {
	if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil {
		return true // no browser uses a unix socket
	}
	name := bareHost(r.Host)
	if name == "" {
		return true // HTTP/1.0: no browser either
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	// RFC 6761, section 6.3; reserved by ICANN; a Service of Kubernetes, short and long.
	for _, suffix := range []string{".localhost", ".internal", ".svc", ".svc.cluster.local"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	// A container or a Service goes by a name without a dot.
	return !strings.Contains(name, ".") ||
		slices.ContainsFunc(a.Hosts, func(ours string) bool { return bareHost(ours) == name })
}

// bareHost returns a host without its port, as names are compared.
func bareHost(text string) string {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.Trim(port, "0123456789") != "" {
		host = strings.Trim(text, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
