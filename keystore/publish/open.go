package publish

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// Open reads how to publish: "rfc2136:server=HOST[:PORT],key-file=FILE", and
// zone=ZONE where the server is not to be asked. The error names the part.
func Open(spec string) (*Update, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	if kind != "rfc2136" {
		return nil, fmt.Errorf("%q is no way to publish; hint: rfc2136:server=ns1.example.org,key-file=/etc/signpost/tsig.key", spec)
	}
	u := &Update{Timeout: 10 * time.Second}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || value == "" {
			return nil, fmt.Errorf("%q has no value; hint: write NAME=VALUE, commas between", part)
		}
		var err error
		switch name {
		case "server":
			u.Server, err = hostPort(value)
		case "zone":
			u.Zone, err = checkedName(value)
		case "key-file":
			u.Key, err = ReadKey(value)
		default:
			err = fmt.Errorf("it is none of server, zone, key-file")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if u.Server == "" {
		return nil, fmt.Errorf("server is missing; hint: name the primary server of the zone, as in rfc2136:server=ns1.example.org")
	}
	return u, nil
}

// hostPort adds the port of the DNS where there is none.
func hostPort(server string) (string, error) {
	if host, port, err := net.SplitHostPort(server); err == nil {
		if host == "" || port == "" {
			return "", fmt.Errorf("%q has no host or no port", server)
		}
		return server, nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
	if host == "" || strings.ContainsAny(host, " \t[]/") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", fmt.Errorf("%q is no server; hint: write HOST, HOST:PORT or [IPv6]:PORT", server)
	}
	return net.JoinHostPort(host, "53"), nil
}
