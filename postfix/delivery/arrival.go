package delivery

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// arrival says what Postfix changes before the milter sees the message: these
// changes are signed, so they break nothing.
func (m Mail) arrival(c *postfix.Config) []finding.Finding {
	var findings []finding.Finding
	rewrites := c.Value("local_header_rewrite_clients")
	who := "for mail of a client in local_header_rewrite_clients"
	if rewrites == "" {
		who = "for mail of sendmail(1)"
	}
	if postfix.IsYes(c.Value("always_add_missing_headers")) {
		who = "(always_add_missing_headers = yes)"
	}
	if !m.has("From") {
		findings = append(findings, finding.Finding{Code: "path-from-added", Level: finding.Note, Name: "From",
			What: "the message has no From field, and Postfix adds one with the envelope sender " + who +
				", before the milter sees it",
			Effect: "then the domain of the envelope sender is the author domain",
			Fix:    "add a From field to the message"})
	}
	if from, ok := m.field("From"); ok {
		if bareAddress(from.Value) {
			findings = append(findings, finding.Finding{Code: "path-from-without-domain", Level: finding.Note, Name: "From",
				What: "the address in From has no domain, and Postfix adds that of myorigin (" + c.Value("myorigin") +
					") for mail of a client in local_header_rewrite_clients, before the milter sees it",
				Effect: "then that is the author domain",
				Fix:    "write From as user@example.org, or set myorigin"})
		}
	}
	drops := postfix.List(or(c.Value("message_drop_headers"), "bcc, content-length, resent-bcc, return-path"))
	for _, f := range m.Header {
		name := strings.TrimRight(f.Name, " \t")
		if slices.ContainsFunc(drops, func(drop string) bool { return strings.EqualFold(drop, name) }) {
			findings = append(findings, finding.Finding{Code: "path-field-dropped", Level: finding.Note, Name: name,
				What: "Postfix takes this field out before the milter sees it " +
					"(message_drop_headers)", Effect: "the signature is not affected"})
		}
	}
	// Cut in cleanup(8): header_size_limit of a field, or 60000 with a milter.
	for _, f := range m.Header {
		if len(f.Name)+1+len(f.Value) > milterFieldSize {
			findings = append(findings, finding.Finding{Code: "path-field-cut", Level: finding.Warning, Name: f.Name,
				What: fmt.Sprintf("the field of line %d has %d bytes, and Postfix with a "+
					"milter cuts it off after %d", f.Line, len(f.Name)+1+len(f.Value), milterFieldSize),
				Effect: "the rest is lost; what is left is signed", Fix: "shorten the field"})
		}
	}
	return findings
}

// milterFieldSize is the most that cleanup(8) keeps of one field when there is
// a milter, whose protocol has room for no more.
const milterFieldSize = 60000

// bareAddress reports whether a From field is an address without a domain.
func bareAddress(value string) bool {
	address := strings.TrimSpace(value)
	if strings.Contains(address, "@") {
		return false
	}
	if before, ok := strings.CutSuffix(address, ">"); ok {
		_, address, _ = strings.Cut(before, "<")
	}
	_, err := mail.ParseAddress(address + "@example.org")
	return err == nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
