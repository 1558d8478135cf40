package main

import (
	"net/mail"
	"strings"

	"signpost/keystore/finding"

	"golang.org/x/net/idna"
)

// address checks an address of the envelope and puts its domain into A-labels.
func (p *sending) address(flag, text string) (string, error) {
	parsed, err := mail.ParseAddress(text)
	if err != nil {
		return "", finding.WithHint(usageError("%s: invalid mail address %q", flag, text),
			"write it like user@example.org")
	}
	address := parsed.Address
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at], address[at+1:]
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	if strings.ContainsAny(local+domain, " \t\r\n<>") || strings.ContainsAny(local, `"\@,:;()[]`) {
		return "", usageError("%s: %q is an address that SMTP has to quote, and signpost does not", flag, text)
	}
	if strings.ContainsFunc(local+domain, func(r rune) bool { return r > 0x7e }) {
		p.needsSMTPUTF8 = true
	}
	return local + "@" + domain, nil
}
