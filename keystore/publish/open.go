package publish

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/libdns/cloudflare"
	"github.com/libdns/desec"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// Open reads how to publish, KIND:NAME=VALUE,NAME=VALUE...; each kind also takes
// zone=ZONE, in place of looking the zone up. The error names the part.
//
//	rfc2136:server=HOST[:PORT],key-file=FILE
//	cloudflare:token-file=FILE
//	desec:token-file=FILE
//	exec:PROGRAM
func Open(spec string, resolver *dns.Resolver) (Publisher, error) {
	const kinds = "it begins with one of rfc2136:, cloudflare:, desec: and exec:, as in rfc2136:server=ns1.example.org"
	kind, rest, _ := strings.Cut(spec, ":")
	switch kind {
	case "rfc2136":
		return openUpdate(rest)
	case "cloudflare", "desec":
		return openProvider(kind, rest, resolver)
	case "exec":
		return openProgram(rest, resolver)
	case "route53":
		return nil, finding.WithHint(errors.New("route53: is no longer built in"),
			"use exec:PROGRAM with the script keystore/publish/examples/route53.sh, which runs the AWS command line")
	}
	return nil, finding.WithHint(fmt.Errorf("unknown way to publish %q", spec), kinds)
}

func openProvider(kind, rest string, resolver *dns.Resolver) (Publisher, error) {
	parts, err := split(rest, []string{"token-file", "zone"})
	if err != nil {
		return nil, err
	}
	zones, err := zonesOf(parts["zone"], resolver)
	if err != nil {
		return nil, err
	}
	token, err := readToken(parts["token-file"])
	if err != nil {
		return nil, fmt.Errorf("token-file: %w", err)
	}
	p := &provider{name: kind, zones: zones, timeout: time.Minute}
	if kind == "desec" {
		p.api = &desec.Provider{Token: token}
	} else {
		p.api = &cloudflare.Provider{APIToken: token}
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
			return nil, finding.WithHint(fmt.Errorf("%q has no value", part), "write NAME=VALUE, commas between")
		case !slices.Contains(known, name):
			return nil, finding.WithHint(fmt.Errorf("unknown name %q", name), "it is one of %s", strings.Join(known, ", "))
		case parts[name] != "":
			return nil, fmt.Errorf("%s: given twice", name)
		}
		parts[name] = value
	}
	return parts, nil
}

func openUpdate(rest string) (Publisher, error) {
	parts, err := split(rest, []string{"server", "zone", "key-file"})
	if err != nil {
		return nil, err
	}
	u := &update{timeout: 10 * time.Second}
	if parts["zone"] != "" {
		if u.zone, err = absolute(parts["zone"]); err != nil {
			return nil, fmt.Errorf("zone: %w", err)
		}
	}
	if parts["server"] == "" {
		return nil, finding.WithHint(errors.New("server is missing"),
			"name the primary server of the zone, as in rfc2136:server=ns1.example.org")
	}
	if u.server, err = hostPort(parts["server"]); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if file := parts["key-file"]; file != "" {
		if u.key, err = readKey(file); err != nil {
			return nil, fmt.Errorf("key-file: %w", err)
		}
	}
	return u, nil
}

// readToken reads the token of an API, one line.
func readToken(file string) (string, error) {
	if file == "" {
		return "", finding.WithHint(errors.New("it is missing"),
			"put the token of the provider into a file that only you can read")
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
		return "", finding.WithHint(fmt.Errorf("invalid server %q", server), "write HOST, HOST:PORT or [IPv6]:PORT")
	}
	return net.JoinHostPort(host, "53"), nil
}
