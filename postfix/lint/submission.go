package lint

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// submission looks for listeners that refuse everybody, or everybody with a
// login.
func (l *linter) submission() {
	for _, s := range l.listeners() {
		sasl := strings.EqualFold(l.config.ValueIn(s, "smtpd_sasl_auth_enable"), "yes")
		for _, name := range []string{
			"smtpd_client_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions"} {
			list := postfix.List(l.config.ValueIn(s, name))
			login := slices.Index(list, "permit_sasl_authenticated")
			end := slices.IndexFunc(list, func(w string) bool { return w == "reject" || w == "defer" })
			other := slices.ContainsFunc(list[:max(end, 0)], func(w string) bool {
				return strings.HasPrefix(w, "permit") && w != "permit_sasl_authenticated" || strings.HasPrefix(w, "check_")
			})
			if !sasl && login >= 0 && end > login && !other {
				l.add(finding.Finding{Code: "postfix-submission-shut", Level: finding.Warning, Name: name,
					What:   fmt.Sprintf("asks for a login at %s, but logins are off there", s),
					Effect: "no mail can be sent by it",
					Fix:    l.fix(s, "smtpd_sasl_auth_enable", "yes")})
			}
		}
		early := strings.EqualFold(l.config.ValueIn(s, "smtpd_delay_reject"), "no")
		clients := postfix.List(l.config.ValueIn(s, "smtpd_client_restrictions"))
		if early && slices.Contains(clients, "permit_sasl_authenticated") {
			l.add(finding.Finding{Code: "postfix-delay-reject", Level: finding.Warning, Name: "smtpd_delay_reject",
				What: "is no, and smtpd_client_restrictions asks for a login",
				Effect: "clients are judged before they can log in, so those outside of " +
					"mynetworks are refused",
				Fix: "smtpd_delay_reject = yes"})
		}
	}
}
