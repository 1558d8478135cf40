package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/dkim"
)

// MostHeaderBytes is the largest header that can be allowed.
const MostHeaderBytes = 256 << 20

// OnUnsignable says what to do with mail that must be signed and never can be.
type OnUnsignable string

// What to do with it.
const (
	RejectUnsignable OnUnsignable = "reject"
	DeferUnsignable  OnUnsignable = "defer"
)

// Signing is all that decides whether a message is signed, and how: by it the
// daemon signs and the companion explains.
type Signing struct {
	Keys        Keys
	Domains     []string // that must be signed, as A-labels, in order
	Rules       milter.Rules
	Shared      []keystore.KeyFile // keys for all domains that publish them
	Policy      *dkim.Policy
	HeaderBytes int // as in milter.Limits
}

// ReadSigning reads the settings of ForSigning.
func ReadSigning(c *cli.Context) (*Signing, error) {
	r := &reader{c: c}
	s := r.signing()
	return s, r.err
}

func (r *reader) signing() *Signing {
	s := &Signing{
		Keys:    r.keys(),
		Domains: parsed(r, "domains", ParseDomains),
		Rules: milter.Rules{
			Trusted:         parsed(r, "trusted-networks", milter.ParseNetworks),
			MustSign:        make(map[string]bool),
			Subdomains:      r.on("subdomains"),
			Also:            parsed(r, "also-sign", ParseAlso),
			DeferUnsignable: parsed(r, "on-unsignable", OneOf(RejectUnsignable, DeferUnsignable)) == DeferUnsignable,
			LongLines:       parsed(r, "on-broken-later", onBrokenLater),
			Logins:          r.logins(),
		},
		Shared:      r.shared(),
		Policy:      r.policy(),
		HeaderBytes: r.number("max-header-bytes", 16<<10, MostHeaderBytes),
	}
	for _, domain := range s.Domains {
		s.Rules.MustSign[domain] = true
	}
	// OpenDKIM's Mode says whether to sign (s) and to verify (v).
	if mode := os.Getenv(modeVariable); mode != "" && !strings.Contains(mode, "s") {
		r.fail(fmt.Errorf("%s: %q does not sign, and signing is all that signpostd does", modeVariable, mode))
	}
	return s
}

// shared reads the keys for all domains, which nothing but the DNS proves to be theirs.
func (r *reader) shared() []keystore.KeyFile {
	keys := parsed(r, "shared-key", ParseShared)
	if mode := r.value("dns-check"); len(keys) > 0 && mode.Text == string(rotation.Off) {
		r.fail(finding.WithHint(mode.Errorf("it is off, and only the DNS says which domains may use --shared-key"),
			"set it to on, or leave --shared-key out"))
	}
	return keys
}

const modeVariable = "OPENDKIM_Mode"

func (r *reader) policy() *dkim.Policy {
	p := &dkim.Policy{Expiration: r.duration("expire", 0)}
	if expire := r.value("expire"); p.Expiration > 0 && p.Expiration < time.Second {
		r.fail(finding.WithHint(expire.Errorf("%q is less than a second", expire.Text),
			"0 is never, 168h is a week"))
	}
	canonicalization := r.value("canonicalization")
	var err error
	if p.Header, p.Body, err = dkim.ParseCanonicalization(canonicalization.Text); err != nil {
		r.fail(canonicalization.Errorf("%w", err))
	}
	sign, oversign := r.value("sign-headers"), r.value("oversign-headers")
	if sign.Text != "" {
		p.Sign = FieldList(sign.Text, dkim.DefaultSign())
	}
	if oversign.Text != "" {
		// The default is for fields that are signed.
		usual := slices.DeleteFunc(dkim.DefaultOversign(), func(name string) bool {
			return p.Sign != nil &&
				!slices.ContainsFunc(p.Sign, func(signed string) bool { return strings.EqualFold(signed, name) })
		})
		p.Oversign = FieldList(oversign.Text, usual)
	}
	signOnly := dkim.Policy{Sign: p.Sign, Oversign: []string{}}
	if err := signOnly.Validate(); err != nil {
		r.fail(sign.Errorf("%w", err))
	} else if err := p.Validate(); err != nil {
		r.fail(oversign.Errorf("%w", err))
	}
	return p
}

// onBrokenLater reads what to do with mail whose signature breaks on delivery.
func onBrokenLater(text string) (milter.Action, error) {
	word, err := OneOf("warn", "defer", "reject")(text)
	return map[string]milter.Action{"warn": milter.Accept, "defer": milter.TempFail, "reject": milter.Reject}[word], err
}

// FieldList reads a list of header field names. As in OpenDKIM, a list that
// begins with * changes the default: +Name adds, -Name removes.
func FieldList(text string, defaults []string) []string {
	list := []string{}
	for _, name := range milter.Words(text) {
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

// ParseDomains reads a list of domains, separated by white space only, as in the
// image boky/postfix.
func ParseDomains(text string) ([]string, error) {
	var domains []string
	for _, word := range strings.Fields(text) {
		if strings.Contains(word, ",") {
			return nil, finding.WithHint(fmt.Errorf("%q has a comma", word),
				"put white space between the domains")
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
