package delivery

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// missing looks for fields that a server on the way may add, which breaks a
// signature that names them.
func (m Mail) missing(c *postfix.Config) []finding.Finding {
	if m.Local || postfix.IsYes(c.Value("always_add_missing_headers")) {
		return nil // Postfix adds them before the milter sees the message
	}
	var findings []finding.Finding
	for _, name := range []string{"Date", "Message-ID"} {
		if m.has(name) {
			continue
		}
		f := finding.Finding{Code: "path-field-missing", Level: finding.Note, Name: name,
			What: "the message has no " + name + " field; Postfix adds one for a client in " +
				"local_header_rewrite_clients, before signing, and for others a server on the way may",
			Effect: "the signature does not name it, so it stays good",
			Fix:    "let the program that writes the message add it, or set always_add_missing_headers = yes"}
		if m.signs(name) {
			f.Level, f.Effect = finding.Warning, "the signature says that there is none "+
				"(oversigned), so one that is added later breaks it"
		}
		findings = append(findings, f)
	}
	if !m.has("To") && !m.has("Cc") && !m.has("Bcc") && m.signs("To") {
		findings = append(findings, finding.Finding{Code: "path-field-missing", Level: finding.Note, Name: "To",
			What: "the message names no recipient",
			Effect: "a server that adds a To field breaks the signature, which says that there " +
				"is none (oversigned)",
			Fix: "add \"To: undisclosed-recipients:;\""})
	}
	return findings
}

// others looks for fields that there should not be, or not twice.
func (m Mail) others() []finding.Finding {
	var findings []finding.Finding
	for _, f := range m.Header {
		domain := tagValue(f.Value, "d")
		isDomain := func(d string) bool { return strings.EqualFold(d, domain) }
		if !f.is("DKIM-Signature") || !slices.ContainsFunc(m.Domains, isDomain) {
			continue
		}
		findings = append(findings, finding.Finding{Code: "path-signed-before", Level: finding.Warning,
			Name:   "DKIM-Signature",
			What:   fmt.Sprintf("the message has a signature of %s already, in line %d", domain, f.Line),
			Effect: "it is signed again; if the first is broken, some receivers hold that against it",
			Fix: "let the message pass the milter once: receive_override_options=no_milters " +
				"where it comes back from a content filter"})
	}
	for _, name := range once() {
		count := 0
		for _, f := range m.Header {
			if f.is(name) {
				count++
			}
		}
		if count > 1 {
			findings = append(findings, finding.Finding{Code: "path-field-twice", Level: finding.Warning, Name: name,
				What: fmt.Sprintf("the field stands %d times in the message, once is allowed "+
					"(RFC 5322 section 3.6)", count),
				Effect: "the signature covers each; a server that takes one out breaks it, and " +
					"some receivers refuse such mail",
				Fix: "correct the program that writes the message"})
		}
	}
	return findings
}

// once are fields that a message has at most one of: RFC 5322, section 3.6, and
// RFC 2045, section 3. From is for the signer to judge.
func once() []string {
	return []string{
		"Date", "Sender", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "References", "Subject",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	}
}

// tagValue returns the value of a tag in a tag list (RFC 6376, section 3.2).
func tagValue(list, tag string) string {
	for spec := range strings.SplitSeq(list, ";") {
		name, value, _ := strings.Cut(spec, "=")
		if strings.TrimSpace(name) == tag {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
