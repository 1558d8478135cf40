package publish

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/libdns/cloudflare"
	"github.com/libdns/desec"
	"github.com/libdns/route53"
)

// Zones finds the zone that a name lies in, with or without the final dot.
type Zones func(ctx context.Context, name string) (string, error)

// Open reads how to publish, KIND:NAME=VALUE,NAME=VALUE...; each kind also takes
// zone=ZONE, in place of asking the DNS. The error names the part.
//
//	rfc2136:server=HOST[:PORT],key-file=FILE
//	cloudflare:token-file=FILE
//	desec:token-file=FILE
//	route53:profile=NAME,region=NAME,zone-id=ID (all may be left out)
func Open(spec string, zones Zones) (Publisher, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	known, ok := map[string][]string{
		"rfc2136":    {"server", "zone", "key-file"},
		"cloudflare": {"token-file", "zone"},
		"desec":      {"token-file", "zone"},
		"route53":    {"profile", "region", "zone-id", "zone"},
	}[kind]
	if !ok {
		return nil, fmt.Errorf("%q is no way to publish; hint: it begins with one of rfc2136:, cloudflare:, desec: and route53:, as in rfc2136:server=ns1.example.org", spec)
	}
	parts, err := split(rest, known)
	if err != nil {
		return nil, err
	}
	zone := parts["zone"]
	if zone != "" {
		if zone, err = checkedName(zone); err != nil {
			return nil, fmt.Errorf("zone: %w", err)
		}
	}
	if kind == "rfc2136" {
		return openUpdate(parts, zone)
	}
	if zone != "" {
		zones = func(context.Context, string) (string, error) { return zone, nil }
	}
	token := ""
	if kind != "route53" {
		if token, err = readToken(parts["token-file"]); err != nil {
			return nil, fmt.Errorf("token-file: %w", err)
		}
	}
	p := &Provider{name: kind, zones: zones, timeout: time.Minute}
	switch kind {
	case "cloudflare":
		p.api = &cloudflare.Provider{APIToken: token}
	case "desec":
		p.api = &desec.Provider{Token: token}
	case "route53":
		region := parts["region"]
		if region == "" {
			region = "us-east-1" // that of the one global end point
		}
		p.api = &route53.Provider{Profile: parts["profile"], Region: region, HostedZoneID: parts["zone-id"]}
	}
	return p, nil
}

// split takes NAME=VALUE,NAME=VALUE... apart. No name may come twice.
func split(text string, known []string) (map[string]string, error) {
	parts := make(map[string]string)
	if text == "" {
		return parts, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !ok || value == "":
			return nil, fmt.Errorf("%q has no value; hint: write NAME=VALUE, commas between", part)
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("%s: it is none of %s", name, strings.Join(known, ", "))
		case parts[name] != "":
			return nil, fmt.Errorf("%s: it is given twice", name)
		}
		parts[name] = value
	}
	return parts, nil
}

func openUpdate(parts map[string]string, zone string) (Publisher, error) {
	u := &Update{Zone: zone, Timeout: 10 * time.Second}
	if parts["server"] == "" {
		return nil, fmt.Errorf("server is missing; hint: name the primary server of the zone, as in rfc2136:server=ns1.example.org")
	}
	var err error
	if u.Server, err = hostPort(parts["server"]); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if file := parts["key-file"]; file != "" {
		if u.Key, err = ReadKey(file); err != nil {
			return nil, fmt.Errorf("key-file: %w", err)
		}
	}
	return u, nil
}

// readToken reads the token of an API, one line.
func readToken(file string) (string, error) {
	if file == "" {
		return "", fmt.Errorf("it is missing; hint: put the token of the provider into a file that only you can read")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: it is not one line with a token", file)
	}
	return token, nil
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
