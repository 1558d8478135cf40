package delivery

import (
	"mime"
	"net/mail"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// IsBounce reports whether this is a bounce as Postfix writes it, or another notice of its own
// about mail (RFC 3464).
func (m Mail) IsBounce() bool {
	from, _ := m.field("From")
	address, err := mail.ParseAddress(strings.TrimSpace(from.Value))
	if err != nil || !strings.HasPrefix(strings.ToUpper(address.Address), "MAILER-DAEMON@") {
		return false
	}
	field, _ := m.field("Content-Type")
	kind, parameters, _ := mime.ParseMediaType(strings.TrimSpace(field.Value))
	return kind == "multipart/report" && strings.EqualFold(parameters["report-type"], "delivery-status")
}

// bounce says why a bounce does not come to the milter. Without a main.cf it is only to note, for
// the defaults may not be those in force.
func (m Mail) bounce(c *postfix.Config) []finding.Finding {
	const classes = "internal_mail_filter_classes"
	if !m.IsBounce() {
		return nil
	}
	f := finding.Finding{Code: "path-bounce-unsigned", Level: finding.Warning, Name: classes,
		What:   "does not have bounce, so a bounce meets no milter",
		Effect: "it leaves unsigned, whatever signpostd would do with it",
		Fix:    classes + " = bounce"}
	switch {
	case len(c.Names()) == 0:
		f.Level = finding.Note
	case postfix.HasWord(c.Value(classes), "bounce") && len(c.Milters(postfix.Service{Command: "pickup"})) > 0:
		return nil
	case postfix.HasWord(c.Value(classes), "bounce"):
		f.Name, f.What = "non_smtpd_milters", "names no milter, and those are what a bounce meets"
		f.Fix = "non_smtpd_milters = $smtpd_milters"
	}
	return []finding.Finding{f}
}
