package setup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// relay sends all mail through a relay, with a password when there is one.
func (p *plan) relay() error {
	_, relays := p.first("RELAYHOST")
	_, user := p.first("RELAYHOST_USERNAME")
	password, err := p.password()
	if err != nil {
		return err
	}
	switch {
	case relays == "" && (user != "" || password != ""):
		p.warn(fmt.Errorf("RELAYHOST_USERNAME or its password is set but RELAYHOST is not, so neither is used"),
			"set RELAYHOST, like [smtp.example.net]:587")
		return nil
	case relays == "":
		return nil
	case user != "" && password == "":
		return finding.WithHint(fmt.Errorf("RELAYHOST_USERNAME is set but there is no password"),
			"set RELAYHOST_PASSWORD_FILE or RELAYHOST_PASSWORD")
	case user == "" && password != "":
		return finding.WithHint(fmt.Errorf("the password of the relay is set but not the user"),
			"set RELAYHOST_USERNAME")
	}
	if _, err := nextHops("RELAYHOST", relays); err != nil {
		return err
	}
	p.set("relayhost", relays)
	if user == "" {
		return nil
	}
	p.Password.Content, err = p.passwordMap(relays, user, password)
	if err != nil {
		return err
	}
	p.set("smtp_sasl_auth_enable", "yes")
	p.set("smtp_sasl_password_maps", "texthash:"+filepath.Join(p.request.Dir, passwordFile))
	p.set("smtp_sasl_security_options", "noanonymous")
	p.set("smtp_sasl_tls_security_options", "noanonymous")
	if name, _ := p.first("POSTFIX_smtp_tls_security_level", "RELAYHOST_TLS_LEVEL"); name == "" {
		p.warn(fmt.Errorf("the password of the relay goes unencrypted when the relay offers no TLS"),
			"set RELAYHOST_TLS_LEVEL=encrypt")
	}
	return nil
}

// password returns the password of the relay, "" for none.
func (p *plan) password() (string, error) {
	path, password := p.vars["RELAYHOST_PASSWORD_FILE"], p.vars["RELAYHOST_PASSWORD"]
	switch {
	case path == "":
		return password, nil
	case password != "":
		return "", finding.WithHint(fmt.Errorf("both RELAYHOST_PASSWORD and RELAYHOST_PASSWORD_FILE are set"),
			"keep RELAYHOST_PASSWORD_FILE")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", finding.WithHint(fmt.Errorf("RELAYHOST_PASSWORD_FILE: %w", err),
			"name a file that this user can read")
	}
	password = strings.TrimRight(string(data), "\r\n")
	if password == "" {
		return "", finding.WithHint(fmt.Errorf("RELAYHOST_PASSWORD_FILE: %s is empty", path),
			"put the password into it")
	}
	return password, nil
}

// passwordMap returns the content of the map that Postfix looks the relay up
// in. The key has to be written exactly as in relayhost.
func (p *plan) passwordMap(relays, user, password string) ([]byte, error) {
	variable := "RELAYHOST"
	if _, other := p.first("SASL_RELAYHOST"); other != "" {
		variable, relays = "SASL_RELAYHOST", other
	}
	keys, err := nextHops(variable, relays)
	if err != nil {
		return nil, err
	}
	if strings.Contains(user, ":") || strings.ContainsFunc(user, unicode.IsControl) || !utf8.ValidString(user) {
		return nil, finding.WithHint(fmt.Errorf("RELAYHOST_USERNAME has a colon, a control character or is not UTF-8"),
			"Postfix cannot use such a name")
	}
	if postfix.TrimSpace(password) != password || strings.ContainsFunc(password, unicode.IsControl) ||
		!utf8.ValidString(password) {
		return nil, finding.WithHint(errors.New("the password of the relay begins or ends in white space, "+
			"has a control character or is not UTF-8"),
			"Postfix cannot use such a password")
	}
	text := "# Written by `signpost postfix write` from RELAYHOST_*; changes are lost.\n"
	for _, key := range keys {
		text += key + "\t" + user + ":" + password + "\n"
	}
	return []byte(text), nil
}

// nextHops splits a list of relays, each host, host:port, [host] or
// [host]:port.
func nextHops(variable, list string) ([]string, error) {
	hops := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	// The host may be that of a variable that was empty: ":587".
	shape := regexp.MustCompile(`^(\[[^\[\]]+\]|[^\[\]:]+)(:[A-Za-z0-9-]+)?$`)
	for _, hop := range hops {
		odd := func(r rune) bool { return notInHostname(r) && !strings.ContainsRune("[]:", r) }
		if strings.ContainsFunc(hop, odd) || !shape.MatchString(hop) {
			// The value is not shown: a URL with a password is a common mistake.
			return nil, finding.WithHint(fmt.Errorf("%s is not written as Postfix wants it", variable),
				"write [host]:port, like [smtp.example.net]:587")
		}
	}
	if len(hops) == 0 {
		return nil, finding.WithHint(fmt.Errorf("%s names no relay", variable),
			"write [host]:port, like [smtp.example.net]:587")
	}
	return hops, nil
}
