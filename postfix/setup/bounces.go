package setup

import (
	"fmt"
	"strings"

	"signpost/postfix"
)

// bounces has them signed. They are of MAILER-DAEMON@$myorigin, so that is a domain with a
// key: one of ALLOWED_SENDER_DOMAINS, which all must have one. While signpostd is away Postfix
// keeps a bounce and tries it again, as it does with other mail, and where no key covers
// myorigin signpostd lets it pass unsigned.
func (p *plan) bounces() error {
	if origin, err := p.origin(); err != nil {
		return err
	} else if origin != "" {
		p.set("myorigin", origin)
	}
	const name = "internal_mail_filter_classes"
	theirs, ok := p.base.Get(name)
	switch {
	case p.has(overridePrefix + name):
	case ok && !postfix.HasWord(theirs, "bounce"):
		p.warn(fmt.Errorf("%s is set to %q in main.cf, and stays, so bounces leave unsigned", name, theirs),
			"take it out of main.cf, or set %s%s=%s", overridePrefix, name,
			strings.TrimPrefix(strings.ReplaceAll(theirs, " ", "")+",bounce", ","))
	case !ok:
		p.set(name, "bounce")
	}
	return nil
}

// origin is the domain of Postfix's own mail: of those that may send the one that the host is
// in, so that SPF for the host's name aligns too (DMARC), else the first; one that main.cf has
// stays. It is "" where all may send, for then none is known to have a key.
func (p *plan) origin() (string, error) {
	var domains []string
	for _, word := range strings.Fields(p.vars["ALLOWED_SENDER_DOMAINS"]) {
		forms, err := addressForms(word)
		if err != nil {
			return "", err // restrictions has said so
		}
		domains = append(domains, forms[0])
	}
	if len(domains) == 0 {
		return "", nil
	}
	_, host := p.first("POSTFIX_myhostname", "HOSTNAME")
	if host == "" {
		host = p.machine.Hostname
	}
	theirs, _ := p.base.Get("myorigin")
	best := domains[0]
	for i := len(domains) - 1; i >= 0; i-- {
		domain := domains[i]
		switch {
		case strings.EqualFold(theirs, domain):
			return domain, nil
		case within(host, domain) && (!within(host, best) || len(domain) > len(best)):
			best = domain
		}
	}
	return best, nil
}

// within reports whether a host is the domain or below it.
func within(host, domain string) bool {
	return strings.HasSuffix("."+strings.ToLower(host), "."+domain)
}
