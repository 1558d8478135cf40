package milter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

const differ = "programs differ in what From says"

// misuse returns what is wrong with the From fields of a login's message: an address that
// is not the login's own, with its domain; nil for nothing. The address of every author must
// be. One that programs differ in is not, where the maps know its domain.
func (r *Rules) misuse(login string, from []string) (domain string, err error) {
	if r.Logins == nil || login == "" {
		return "", nil
	}
	var boxes mailboxes
	clear := len(from) == 1
	if clear {
		boxes, err = parseFrom(from[0], true)
		clear = err == nil
	}
	var owned []string // the domains of the addresses that are
	for _, one := range boxes.authors {
		switch domain, _, err = authorName(one.domain); {
		case err != nil:
			clear = false
		case one.local.odd || one.local.apart:
			if r.Logins.Knows(domain) {
				return domain, notOwned(login, domain, errors.New(differ))
			}
		case !r.Logins.Allow(login, one.local.text, domain):
			return domain, notOwned(login, one.local.text+"@"+domain, nil)
		default:
			owned = append(owned, domain)
		}
	}
	for _, one := range boxes.beside {
		if strays(one.domain, owned...) {
			clear = false
			continue
		}
		domain, _, _ := authorName(strings.TrimRight(one.domain, "'"))
		local := strings.TrimLeft(one.local.text, "'")
		switch {
		case local == "" || !slices.Contains(owned, domain): // of a route, or no domain
		case one.local.odd && r.Logins.Knows(domain), !one.local.odd && !r.Logins.Allow(login, local, domain):
			return domain, notOwned(login, local+"@"+domain, errors.New(differ))
		}
	}
	if clear {
		return "", nil
	}
	names, whole := namedDomains(from)
	for _, name := range names {
		if r.Logins.Knows(name) && !slices.Contains(owned, name) {
			return name, notOwned(login, name, errors.New(differ))
		}
	}
	if !whole {
		return "", notOwned(login, "what is in From", errors.New("it is too large, or in too odd a charset, to tell"))
	}
	return "", nil
}

// notOwned is the error of a login that does not own an address.
func notOwned(login, address string, why error) error {
	err := fmt.Errorf("login %.100q does not own %.200s", login, address)
	if why != nil {
		err = fmt.Errorf("%w: %w", err, why)
	}
	return finding.WithHint(err,
		"send from an address of this login, or let --sender-login-maps say that it owns this one")
}
