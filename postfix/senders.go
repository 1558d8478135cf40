package postfix

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Names of the maps in the configuration directory. They are of the type
// texthash, which is built into every Postfix: a plain file, no postmap, no
// package. Postfix reads them once, when a process starts.
const (
	sendersFile  = "signpost_senders"
	passwordFile = "signpost_relay_password"
)

// restrictions says who may send, as whom, and where to. Each list decides one
// question and ends in a refusal, so no other list has to be right for Postfix
// not to be an open relay.
func (p *plan) restrictions() error {
	known := "permit_mynetworks, permit_sasl_authenticated, reject"
	// permit_sasl_authenticated means nothing before the client has logged in.
	p.set("smtpd_delay_reject", "yes")
	p.set("smtpd_helo_required", "yes")
	p.set("smtpd_client_restrictions", known)
	p.set("smtpd_relay_restrictions", known)
	p.set("smtpd_recipient_restrictions", "reject_non_fqdn_recipient, reject_unknown_recipient_domain")
	everybody := p.switchedOn("ALLOW_EMPTY_SENDER_DOMAINS")
	value := p.vars["ALLOWED_SENDER_DOMAINS"]
	if trimSpace(value) == "" {
		if !everybody {
			return fmt.Errorf("ALLOWED_SENDER_DOMAINS is not set; hint: list the domains you send from with blanks between, or set ALLOW_EMPTY_SENDER_DOMAINS=yes to allow all")
		}
		return nil
	}
	senders, err := senderMap(value, p.options.Subdomains)
	if err != nil {
		return fmt.Errorf("ALLOWED_SENDER_DOMAINS: %w", err)
	}
	p.Senders = senders
	table := "texthash:" + filepath.Join(p.options.Dir, sendersFile)
	p.set("smtpd_sender_restrictions", "check_sender_access "+table+
		", check_sender_access static:{REJECT domain is not in ALLOWED_SENDER_DOMAINS}, reject")
	// By default a domain in an access map stands for its subdomains too. The
	// signer goes by the name alone, so they would be let through unsigned.
	// This is the default of Postfix without smtpd_access_maps; the map has
	// ".domain" where subdomains are wanted.
	p.set("parent_domain_matches_subdomains",
		"debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, qmqpd_authorized_clients, relay_domains")
	return nil
}

// senderMap returns the content of the map of allowed senders: the domains, and
// the null sender, which bounces and receipts have (RFC 5321, section 4.5.5).
func senderMap(domains string, subdomains bool) ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Written by `signpost postfix write` from ALLOWED_SENDER_DOMAINS; changes are lost.\n<>\tOK\n")
	seen := make(map[string]bool)
	for _, word := range strings.Fields(domains) {
		switch {
		case strings.Contains(word, ","):
			return nil, fmt.Errorf("%q has a comma; hint: put blanks between the domains", word)
		case strings.HasPrefix(word, "*.") || strings.HasPrefix(word, "."):
			return nil, fmt.Errorf("%q is no domain name; hint: list the domain alone and set SIGNPOST_SUBDOMAINS=true", word)
		}
		forms, err := domainForms(word)
		if err != nil {
			return nil, fmt.Errorf("%w; hint: list domains like example.org", err)
		}
		for _, form := range forms {
			if seen[form] {
				continue
			}
			seen[form] = true
			b.WriteString(form + "\tOK\n")
			if subdomains {
				b.WriteString("." + form + "\tOK\n")
			}
		}
	}
	return []byte(b.String()), nil
}
