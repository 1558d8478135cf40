package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/milter"
	"signpost/milter/dkim"
)

// settings is what the command line and the environment say, checked.
type settings struct {
	listen       []milter.Address
	keys         keystore.Options
	domains      []string // A-labels
	autogenerate bool
	check        bool
	rules        milter.Rules
	peers        []netip.Prefix
	policy       *dkim.Policy
	limits       milter.Limits
	rescan       time.Duration
	drain        time.Duration
	logFormat    string
	logLevel     slog.Level
	warnings     []string
}

// reader reads settings and keeps the first error, so that the reading is a
// plain list.
type reader struct {
	c   *cli.Context
	env environment
	err error
}

func readSettings(c *cli.Context, environ []string) (*settings, error) {
	r := &reader{c: c, env: newEnvironment(environ)}
	if c.Args().Present() {
		return nil, fmt.Errorf("unexpected argument %q; hint: signpostd takes options only, see signpostd --help", c.Args().First())
	}
	s := &settings{
		keys: keystore.Options{
			Dir:         get(c, r.env, "keys").value,
			Selectors:   parsed(r, "selector", keystore.ParseSelectors),
			MinBits:     r.number("min-key-bits", keystore.MinBits, 16384),
			RequireSafe: r.on("require-safe-keys"),
		},
		listen:  parsed(r, "listen", milter.ParseAddresses),
		domains: parsed(r, "domains", parseDomains),
		check:   c.Bool("check"),
		rules: milter.Rules{
			Trusted:    parsed(r, "trusted-networks", parseNetworks),
			MustSign:   make(map[string]bool),
			Subdomains: r.on("subdomains"),
		},
		peers:  parsed(r, "allow-peers", parseNetworks),
		policy: r.policy(),
		limits: milter.Limits{
			HeaderBytes: r.number("max-header-bytes", 16<<10, 256<<20),
			Connections: r.number("max-connections", 1, 1<<20),
			Idle:        r.duration("idle-timeout", time.Second),
		},
		rescan:    r.duration("rescan", time.Second),
		drain:     r.duration("drain-timeout", 0),
		logFormat: r.oneOf("log-format", "text", "json"),
		logLevel:  parsed(r, "log-level", parseLevel),
	}
	for _, domain := range s.domains {
		s.rules.MustSign[domain] = true
	}
	r.images(s)
	if r.err != nil {
		return nil, r.err
	}
	return s, nil
}

// logger returns the log in the format asked for.
func (s *settings) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// parsed gives the value of an option to a parser.
func parsed[T any](r *reader, name string, parse func(string) (T, error)) T {
	v := get(r.c, r.env, name)
	result, err := parse(v.value)
	if err != nil {
		r.fail(v.errorf("%w", err))
	}
	return result
}

func (r *reader) number(name string, least, most int) int {
	v := get(r.c, r.env, name)
	n, err := strconv.Atoi(v.value)
	if err != nil || n < least || n > most {
		r.fail(v.errorf("%q is no number from %d to %d", v.value, least, most))
	}
	return n
}

func (r *reader) duration(name string, least time.Duration) time.Duration {
	v := get(r.c, r.env, name)
	d, err := time.ParseDuration(v.value)
	if err != nil || d < least {
		r.fail(v.errorf("%q is no duration of at least %v; hint: write it like 90s or 1h30m", v.value, least))
	}
	return d
}

func (r *reader) oneOf(name string, choices ...string) string {
	v := get(r.c, r.env, name)
	if !slices.Contains(choices, v.value) {
		r.fail(v.errorf("%q is none of %s", v.value, strings.Join(choices, ", ")))
	}
	return v.value
}

// on reads a switch. DKIM_AUTOGENERATE is on with any value, as in its image;
// for that images warns.
func (r *reader) on(name string) bool {
	v := get(r.c, r.env, name)
	switch strings.ToLower(v.value) {
	case "true", "yes", "on", "1":
		return true
	case "", "false", "no", "off", "0":
		return false
	}
	r.fail(v.errorf("%q is neither yes nor no; hint: set it to yes, or leave it empty", v.value))
	return false
}

func (r *reader) policy() *dkim.Policy {
	canonicalization := get(r.c, r.env, "canonicalization")
	p := &dkim.Policy{Expiration: r.duration("expire", 0)}
	if p.Expiration > 0 && p.Expiration < time.Second {
		expire := get(r.c, r.env, "expire")
		r.fail(expire.errorf("%q is less than a second; hint: 0 is never, 168h is a week", expire.value))
	}
	var err error
	if p.Header, p.Body, err = dkim.ParseCanonicalization(canonicalization.value); err != nil {
		r.fail(canonicalization.errorf("%w", err))
	}
	sign, oversign := get(r.c, r.env, "sign-headers"), get(r.c, r.env, "oversign-headers")
	if sign.value != "" {
		p.Sign = fieldList(sign.value, dkim.DefaultSign())
	}
	if oversign.value != "" {
		p.Oversign = fieldList(oversign.value, dkim.DefaultOversign())
	}
	signOnly := dkim.Policy{Sign: p.Sign, Oversign: []string{}}
	if err := signOnly.Validate(); err != nil {
		r.fail(sign.errorf("%w", err))
	} else if err := p.Validate(); err != nil {
		r.fail(oversign.errorf("%w", err))
	}
	return p
}

// fieldList reads a list of header field names. As in OpenDKIM, a list that
// begins with * changes the default: +Name adds, -Name removes.
func fieldList(value string, defaults []string) []string {
	list := []string{}
	for _, name := range words(value) {
		switch {
		case name == "*":
			list = append(list, defaults...)
		case strings.HasPrefix(name, "-"):
			list = slices.DeleteFunc(list, func(have string) bool { return strings.EqualFold(have, name[1:]) })
		default:
			name = strings.TrimPrefix(name, "+")
			if !containsFold(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(have string) bool { return strings.EqualFold(have, name) })
}

// words splits a list at commas and white space.
func words(value string) []string {
	return strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
}

// parseDomains splits at white space only, as the image does.
func parseDomains(value string) ([]string, error) {
	var domains []string
	for _, word := range strings.Fields(value) {
		if strings.Contains(word, ",") {
			return nil, fmt.Errorf("%q has a comma; hint: put white space between the domains", word)
		}
		domain, err := keystore.Domain(word)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	return domains, nil
}

func parseNetworks(value string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, word := range words(value) {
		// Postfix writes IPv6 in brackets: [::1]/128.
		plain := strings.NewReplacer("[", "", "]", "").Replace(word)
		network, err := netip.ParsePrefix(plain)
		if addr, addrErr := netip.ParseAddr(plain); addrErr == nil {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no network; hint: write it like 10.0.0.0/8 or fd00::/8", word)
		}
		if network.Addr().Is4In6() && network.Bits() >= 96 {
			// Clients come as IPv4 (RFC 4291, section 2.5.5.2), whatever the socket.
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func parseLevel(value string) (level slog.Level, err error) {
	if err := level.UnmarshalText([]byte(value)); err != nil {
		return 0, fmt.Errorf("%q is none of debug, info, warn, error", value)
	}
	return level, nil
}
