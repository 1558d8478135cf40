package delivery

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// Replaced says which header fields the server that mail is handed to replaces, of those
// that are signed: it is known of Amazon SES, which sets Date and Message-ID of its own
// (header-fields.html in its manual) and wants four fields unsigned
// (send-email-authentication-dkim-manual.html).
func Replaced(c *postfix.Config, signed func(name string) bool) []finding.Finding {
	setting, ok := sesSetting(c)
	if !ok {
		return nil
	}
	fields := slices.DeleteFunc([]string{"Message-ID", "Date", "Return-Path", "Bounces-To"},
		func(name string) bool { return !signed(name) })
	if len(fields) == 0 {
		return nil
	}
	return []finding.Finding{{Code: "path-relay-replaces", Level: finding.Fault, Name: setting.Name,
		What: "mail goes through Amazon SES, which replaces fields after signing: " + strings.Join(fields, ", ") +
			" (" + setting.Shown() + ")",
		Effect: "the signature breaks; the manual of SES says not to sign Message-ID, Date, " +
			"Return-Path and Bounces-To",
		Fix: "leave them unsigned, with this setting of signpostd\nSIGNPOST_SIGN_HEADERS=*,-" +
			strings.Join(fields, ",-")}}
}

// Refused says that the server that mail is handed to takes no message with so many
// DKIM-Signature fields. It is known of Amazon SES, which answers "554 Transaction failed:
// Duplicate header 'DKIM-Signature'" to more than one (header-fields.html in its manual
// has the fields that must not appear twice). fix is what to do about it.
func Refused(c *postfix.Config, signatures int, fix string) []finding.Finding {
	setting, ok := sesSetting(c)
	if !ok || signatures < 2 {
		return nil
	}
	return []finding.Finding{{Code: "path-relay-refuses", Level: finding.Fault, Name: setting.Name,
		What: fmt.Sprintf("mail goes through Amazon SES, which takes one DKIM-Signature field, and it has %d (%s)",
			signatures, setting.Shown()),
		Effect: "it is refused: 554 Transaction failed: Duplicate header 'DKIM-Signature'",
		Fix:    fix}}
}

// signatures says whether the next server takes the message with all its signatures.
func (m Mail) signatures(c *postfix.Config) []finding.Finding {
	had := 0
	for _, f := range m.Header {
		if f.is("DKIM-Signature") {
			had++
		}
	}
	if len(m.Signatures) == 0 {
		return nil
	}
	fix := "let signpostd make one: no Ed25519 key beside RSA, and no --also-sign beside the author domain"
	if had > 0 {
		fix = "take the DKIM-Signature away that it came with: header_checks = regexp:{{/^DKIM-Signature:/ IGNORE}}"
	}
	return Refused(c, had+len(m.Signatures), fix)
}

// relaySettings are those that name the server that mail is handed to.
func relaySettings() []string {
	return []string{
		"relayhost", "default_transport", "relay_transport", "transport_maps",
		"sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps",
	}
}

// sesSetting returns the setting that names an SMTP server of Amazon SES. Tables in
// files are not read.
func sesSetting(c *postfix.Config) (postfix.Parameter, bool) {
	for _, name := range relaySettings() {
		value := c.Value(name)
		apart := func(r rune) bool { return strings.ContainsRune(" ,:=[]{}", r) }
		for _, host := range strings.FieldsFunc(strings.ToLower(value), apart) {
			if isSES(host) {
				return postfix.Parameter{Name: name, Value: value}, true
			}
		}
	}
	return postfix.Parameter{}, false
}

// isSES knows email-smtp.REGION.amazonaws.com, its FIPS form, and those of private
// endpoints.
func isSES(host string) bool {
	amazon := slices.ContainsFunc([]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws"},
		func(suffix string) bool { return strings.HasSuffix(strings.TrimSuffix(host, "."), suffix) })
	return amazon && slices.ContainsFunc(strings.Split(host, "."),
		func(label string) bool { return label == "email-smtp" || label == "email-smtp-fips" })
}

// relayAdds looks for MIME fields that a relay host or a content filter may add, such as
// Exchange does.
func (m Mail) relayAdds(c *postfix.Config, path Path) []finding.Finding {
	who := ""
	switch {
	case path.ContentFilter != "":
		who = "the content filter " + path.ContentFilter
	case c.Value("relayhost") != "":
		who = "the relay host " + c.Value("relayhost")
	}
	if who == "" || m.has("MIME-Version") && m.has("Content-Type") {
		return nil
	}
	missing := slices.DeleteFunc([]string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding"},
		func(name string) bool { return m.has(name) || !m.signs(name) })
	if len(missing) == 0 {
		return nil
	}
	return []finding.Finding{{Code: "path-field-missing", Level: finding.Warning, Name: missing[0],
		What:   "the message lacks " + strings.Join(missing, ", ") + ", and " + who + " may add them, as some do",
		Effect: "the signature says that there are none (oversigned), so one that is added later breaks it",
		Fix: "let the program that writes the message add them, or let signpostd allow that they are added\n" +
			"SIGNPOST_OVERSIGN_HEADERS=*,-" + strings.Join(missing, ",-")}}
}
