package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/check"
	"signpost/keystore/finding"
)

// senderOptions reads from where, and under which names, mail is sent.
func senderOptions(c *cli.Context, options *check.Options) error {
	for _, text := range c.StringSlice("from-ip") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return exitError{exitUsage, finding.WithHint(fmt.Errorf("--from-ip: invalid IP address %q", text),
				"give it as 192.0.2.1 or 2001:db8::1")}
		}
		if addr = addr.Unmap(); !slices.Contains(options.From, addr) {
			options.From = append(options.From, addr)
		}
	}
	options.FromIs = "given with --from-ip"
	if len(options.From) == 0 {
		options.From, options.FromIs = publicAddresses(),
			"the public addresses of this host; name others with --from-ip"
		if len(options.From) > 0 {
			options.Helo, options.Sender.TLS = postfixSends(c.Context)
		}
	}
	if helo := c.String("helo"); helo != "" {
		if strings.ContainsAny(helo, " \t/@") {
			return exitError{exitUsage, finding.WithHint(fmt.Errorf("--helo: invalid host name %q", helo),
				"give it as mail.example.org")}
		}
		options.Helo = strings.ToLower(helo)
	}
	if from := c.String("mail-from"); from != "" {
		domain, err := keystore.Domain(from[strings.LastIndexByte(from, '@')+1:])
		if err != nil {
			return exitError{exitUsage, fmt.Errorf("--mail-from: %w", err)}
		}
		options.MailFrom = domain
	}
	return nil
}

// publicAddresses returns those addresses of this host that the Internet sees
// as they are: none behind address translation, or in most containers.
func publicAddresses() []netip.Addr {
	var public []netip.Addr
	found, _ := net.InterfaceAddrs()
	for _, a := range found {
		if network, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(network.IP)
			if addr = addr.Unmap(); check.IsPublic(addr) && !isExample(addr) {
				public = append(public, addr)
			}
		}
	}
	return public
}

// isExample reports whether an address is one for documentation (RFC 5737, RFC
// 3849), which test networks use.
func isExample(addr netip.Addr) bool {
	for _, network := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		if netip.MustParsePrefix(network).Contains(addr) {
			return true
		}
	}
	return false
}

// postfixSends asks this host's Postfix how it calls itself, and whether it uses TLS when
// it sends; nothing when there is none.
func postfixSends(ctx context.Context) (helo, tls string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "postconf", "-xh", "smtp_helo_name", "smtp_tls_security_level",
		"smtp_enforce_tls", "smtp_use_tls").Output()
	if err != nil {
		return "", ""
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	helo = strings.ToLower(strings.TrimSpace(lines[0]))
	if len(lines) != 4 {
		return helo, ""
	}
	// An empty level leaves it to the old parameters (postconf(5)).
	switch level := strings.TrimSpace(lines[1]); {
	case level != "":
		tls = level
	case lines[2] == "yes":
		tls = "encrypt"
	case lines[3] == "yes":
		tls = "may"
	default:
		tls = "none"
	}
	return helo, tls
}
