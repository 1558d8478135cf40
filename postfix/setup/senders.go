package setup

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/net/idna"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/postfix"
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
	if postfix.TrimSpace(value) == "" {
		if !everybody {
			return finding.WithHint(fmt.Errorf("ALLOWED_SENDER_DOMAINS is not set"),
				"list the domains you send from with blanks between, or set "+
					"ALLOW_EMPTY_SENDER_DOMAINS=yes to allow all")
		}
		return nil
	}
	senders, err := senderMap(value, p.request.Subdomains)
	if err != nil {
		return fmt.Errorf("ALLOWED_SENDER_DOMAINS: %w", err)
	}
	p.Senders.Content = senders
	table := "texthash:" + filepath.Join(p.request.Dir, sendersFile)
	// A sender without a domain would get that of myorigin, which may send. From: would not.
	p.set("smtpd_sender_restrictions", "reject_non_fqdn_sender, check_sender_access "+table+
		", check_sender_access static:{REJECT domain is not in ALLOWED_SENDER_DOMAINS}, reject")
	// By default a domain in an access map stands for its subdomains too. The
	// signer goes by the name alone, so they would be let through unsigned.
	// This is the default of Postfix without smtpd_access_maps; the map has
	// ".domain" where subdomains are wanted.
	p.set("parent_domain_matches_subdomains",
		"debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, "+
			"qmqpd_authorized_clients, relay_domains")
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
			return nil, finding.WithHint(fmt.Errorf("%q has a comma", word), "put blanks between the domains")
		case strings.HasPrefix(word, "*.") || strings.HasPrefix(word, "."):
			return nil, finding.WithHint(fmt.Errorf("invalid domain name %q", word),
				"list the domain alone and set SIGNPOST_SUBDOMAINS=true")
		}
		forms, err := addressForms(word)
		if err != nil {
			return nil, finding.WithHint(err, "list domains like example.org")
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

// addressForms returns a domain name the ways it can stand in an address: first
// with A-labels (RFC 5890, section 2.3.2.1), then, when it differs, with
// U-labels, as an SMTPUTF8 client gives it.
func addressForms(name string) ([]string, error) {
	ascii, err := keystore.Domain(name)
	if err != nil {
		return nil, err
	}
	unicode, err := idna.Lookup.ToUnicode(ascii)
	if err != nil || unicode == ascii {
		return []string{ascii}, nil
	}
	return []string{ascii, unicode}, nil
}
