package milter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/milter/dkim"
)

// Signing is all that decides whether a message is signed, and how: by it the
// daemon signs and the companion explains.
type Signing struct {
	Keys        keystore.Options
	Domains     []string // that must be signed, as A-labels, in order
	Rules       Rules
	Policy      *dkim.Policy
	HeaderBytes int // as in Limits
}

// PrivateNetworks are loopback, and the addresses that nobody has in the
// world (RFC 1918, RFC 4193, link-local RFC 4291).
const PrivateNetworks = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7,fe80::/10"

// SigningSettings returns the settings that ReadSigning reads.
func SigningSettings() []Setting {
	return []Setting{
		{Name: "keys", Variables: []string{"SIGNPOST_KEYS"}, Default: "/etc/opendkim/keys",
			Usage: "key `DIRECTORY`"},
		{Name: "selector", Variables: []string{"SIGNPOST_SELECTOR", "DKIM_SELECTOR"}, Default: keystore.DefaultSelector,
			Usage: "`SELECTOR`s of keys whose file name has none: a selector, or domain=selector, commas between"},
		{Name: "domains", Variables: []string{"SIGNPOST_DOMAINS", "ALLOWED_SENDER_DOMAINS"},
			Usage: "`DOMAINS` whose mail is refused for now (451) rather than sent unsigned, white space between"},
		{Name: "subdomains", Variables: []string{"SIGNPOST_SUBDOMAINS"}, Switch: true,
			Usage: "let the key of a domain sign for its subdomains too"},
		{Name: "trusted-networks", Variables: []string{"SIGNPOST_TRUSTED_NETWORKS"}, Default: PrivateNetworks,
			Usage: "`NETWORKS` whose clients are signed without a login, commas or white space between"},
		{Name: "canonicalization", Variables: []string{"SIGNPOST_CANONICALIZATION", "OPENDKIM_Canonicalization"}, Default: "relaxed/relaxed",
			Usage: "`HEADER/BODY`, each simple or relaxed"},
		{Name: "sign-headers", Variables: []string{"SIGNPOST_SIGN_HEADERS", "OPENDKIM_SignHeaders"},
			Usage: "header `FIELDS` to sign when present, commas between; *,+ADD,-REMOVE changes the default list"},
		{Name: "oversign-headers", Variables: []string{"SIGNPOST_OVERSIGN_HEADERS", "OPENDKIM_OversignHeaders"},
			Usage: "header `FIELDS` that cannot be added later without breaking the signature; *,+ADD,-REMOVE changes the default list"},
		{Name: "expire", Variables: []string{"SIGNPOST_EXPIRE"}, Default: "0",
			Usage: "let signatures expire after this `TIME` (x=), such as 168h; 0 for never"},
		{Name: "min-key-bits", Variables: []string{"SIGNPOST_MIN_KEY_BITS", "OPENDKIM_MinimumKeyBits"}, Default: "1024",
			Usage: "least size of an RSA key in `BITS`"},
		{Name: "require-safe-keys", Variables: []string{"SIGNPOST_REQUIRE_SAFE_KEYS", "OPENDKIM_RequireSafeKeys"}, Switch: true,
			Usage: "refuse key files that group or others can read or write"},
		{Name: "dns-check", Variables: []string{"SIGNPOST_DNS_CHECK"}, Default: "on",
			Usage: "`WHICH` key signs: on, the newest whose record is in the DNS; warn, the newest, and the log says what the DNS lacks; off, the newest, and no DNS is asked"},
		{Name: "max-header-bytes", Variables: []string{"SIGNPOST_MAX_HEADER_BYTES"}, Default: "8388608",
			Usage: "bound on the header of a message in `BYTES`"},
	}
}

// ReadSigning reads the settings of SigningSettings. The error is with r.
func ReadSigning(r *Reader) *Signing {
	s := &Signing{
		Keys: keystore.Options{
			Dir:         r.Get("keys").Text,
			Selectors:   Parsed(r, "selector", keystore.ParseSelectors),
			MinBits:     r.Number("min-key-bits", keystore.MinBits, 16384),
			RequireSafe: r.On("require-safe-keys"),
			Check:       keystore.Check(strings.TrimSuffix(r.OneOf("dns-check", "on", "warn", "off"), "off")),
		},
		Domains: Parsed(r, "domains", parseDomains),
		Rules: Rules{
			Trusted:    Parsed(r, "trusted-networks", ParseNetworks),
			MustSign:   make(map[string]bool),
			Subdomains: r.On("subdomains"),
		},
		Policy:      readPolicy(r),
		HeaderBytes: r.Number("max-header-bytes", 16<<10, 256<<20),
	}
	for _, domain := range s.Domains {
		s.Rules.MustSign[domain] = true
	}
	return s
}

func readPolicy(r *Reader) *dkim.Policy {
	canonicalization := r.Get("canonicalization")
	p := &dkim.Policy{Expiration: r.Duration("expire", 0)}
	if p.Expiration > 0 && p.Expiration < time.Second {
		expire := r.Get("expire")
		r.Fail(expire.Errorf("%q is less than a second; hint: 0 is never, 168h is a week", expire.Text))
	}
	var err error
	if p.Header, p.Body, err = dkim.ParseCanonicalization(canonicalization.Text); err != nil {
		r.Fail(canonicalization.Errorf("%w", err))
	}
	sign, oversign := r.Get("sign-headers"), r.Get("oversign-headers")
	if sign.Text != "" {
		p.Sign = fieldList(sign.Text, dkim.DefaultSign())
	}
	if oversign.Text != "" {
		p.Oversign = fieldList(oversign.Text, dkim.DefaultOversign())
	}
	signOnly := dkim.Policy{Sign: p.Sign, Oversign: []string{}}
	if err := signOnly.Validate(); err != nil {
		r.Fail(sign.Errorf("%w", err))
	} else if err := p.Validate(); err != nil {
		r.Fail(oversign.Errorf("%w", err))
	}
	return p
}

// fieldList reads a list of header field names. As in OpenDKIM, a list that
// begins with * changes the default: +Name adds, -Name removes.
func fieldList(text string, defaults []string) []string {
	list := []string{}
	for _, name := range words(text) {
		switch {
		case name == "*":
			list = append(list, defaults...)
		case strings.HasPrefix(name, "-"):
			list = slices.DeleteFunc(list, func(have string) bool { return strings.EqualFold(have, name[1:]) })
		default:
			name = strings.TrimPrefix(name, "+")
			if !slices.ContainsFunc(list, func(have string) bool { return strings.EqualFold(have, name) }) {
				list = append(list, name)
			}
		}
	}
	return list
}

// parseDomains splits at white space only, as the image boky/postfix does.
func parseDomains(text string) ([]string, error) {
	var domains []string
	for _, word := range strings.Fields(text) {
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

// ParseNetworks reads networks and addresses, with commas or white space
// between.
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

// CheckMode takes OpenDKIM's Mode, which says whether to sign (s) and verify
// (v). Not to sign is an error; not to verify is worth a warning.
func CheckMode(mode string) (warning string, err error) {
	switch {
	case mode == "":
		return "", nil
	case !strings.Contains(mode, "s"):
		return "", fmt.Errorf("OPENDKIM_Mode: %q does not sign, and signing is all that signpostd does", mode)
	case strings.Contains(mode, "v"):
		return fmt.Sprintf("OPENDKIM_Mode=%s: signpostd signs and does not verify", mode), nil
	}
	return "", nil
}
