package main

import (
	"bytes"
	"fmt"
	"net/mail"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// verify returns the author domain and the Message-ID of a message. It fails
// unless every signature verifies and the author's domain is among the signers.
func verify(keys string, message []byte) (domain, id string, err error) {
	parsed, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return "", "", fmt.Errorf("reading the message that came out: %w", err)
	}
	from, err := mail.ParseAddress(parsed.Header.Get("From"))
	if err != nil {
		return "", "", fmt.Errorf("reading From of the message that came out: %w", err)
	}
	domain = from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	id = parsed.Header.Get("Message-ID")

	lookup := func(name string) ([]string, error) { return lookupTXT(keys, name) }
	signatures, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		return "", "", fmt.Errorf("verifying a message from %s: %w", domain, err)
	}
	byAuthor := false
	for _, signature := range signatures {
		if signature.Err != nil {
			return "", "", fmt.Errorf("a message from %s has a signature of %s that does not verify: %w", domain, signature.Domain, signature.Err)
		}
		byAuthor = byAuthor || signature.Domain == domain
	}
	if !byAuthor {
		return "", "", fmt.Errorf("a message from %s came out without a signature of %s", domain, domain)
	}
	return domain, id, nil
}
