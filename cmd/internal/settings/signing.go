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
	"signpost/milter"
	"signpost/milter/dkim"
)

// Signing is all that decides whether a message is signed, and how: by it the
// daemon signs and the companion explains.
type Signing struct {
	Keys        Keys
	Domains     []string // that must be signed, as A-labels, in order
	Rules       milter.Rules
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
			Trusted:    parsed(r, "trusted-networks", milter.ParseNetworks),
			MustSign:   make(map[string]bool),
			Subdomains: r.on("subdomains"),
		},
		Policy:      r.policy(),
		HeaderBytes: r.number("max-header-bytes", 16<<10, 256<<20),
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
		p.Sign = fieldList(sign.Text, dkim.DefaultSign())
	}
	if oversign.Text != "" {
		p.Oversign = fieldList(oversign.Text, dkim.DefaultOversign())
	}
	signOnly := dkim.Policy{Sign: p.Sign, Oversign: []string{}}
	if err := signOnly.Validate(); err != nil {
		r.fail(sign.Errorf("%w", err))
	} else if err := p.Validate(); err != nil {
		r.fail(oversign.Errorf("%w", err))
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
