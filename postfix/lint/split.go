package lint

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
	"signpost/postfix/delivery"
)

// Many a host receives mail too, with a milter on port 25 that verifies it. There
// signpostd has the ports where users hand in mail, and sendmail(1), for itself:
//
//	smtp        inet  ... smtpd                      smtpd_milters of main.cf: verifies
//	submission  inet  ... smtpd -o smtpd_milters=…   signs
//	submissions inet  ... smtpd -o smtpd_milters=…   signs
//	non_smtpd_milters = …                            signs

// splitSigner returns the milter that services for submission have, and main.cf does not
// name: signpostd, where nobody says what its address is. It is empty where mail meets
// the same milters everywhere.
func (l *linter) splitSigner() string {
	others := l.milters(mainService())
	var users []milter
	for _, s := range l.listeners() {
		if delivery.IsSubmission(l.config, s) {
			users = append(users, l.milters(s)...)
		}
	}
	queue := l.config.Value("queue_directory")
	for _, m := range slices.Backward(users) {
		same := func(other milter) bool { return other.at(m.address, queue) }
		if m.err == "" && len(others) > 0 && !slices.ContainsFunc(others, same) {
			return m.address
		}
	}
	return ""
}

// split looks at services for submission that have the verifier of port 25, and not
// signpostd, which another has.
func (l *linter) split() {
	some := slices.ContainsFunc(l.listeners(), func(s postfix.Service) bool { return l.has(l.milters(s)) })
	if l.signpostd == "" || !some {
		return // milterSet has said so
	}
	back := delivery.Reinjected(l.config)
	for _, s := range l.listeners() {
		milters := l.milters(s)
		again := slices.ContainsFunc(back, func(b postfix.Service) bool { return b.Line == s.Line })
		// What -o says there, milterListeners has looked at.
		if !delivery.IsSubmission(l.config, s) || again || l.has(milters) || l.signedLater(s) ||
			ownOption(s, "smtpd_milters") != "" || ownOption(s, "receive_override_options") != "" {
			continue
		}
		what := "names no milter"
		if len(milters) > 0 {
			what = "is " + texts(milters)
		}
		l.add(finding.Finding{Code: "postfix-milter-submission", Level: finding.Fault, Name: "smtpd_milters",
			What:   fmt.Sprintf("%s for %s, line %d of master.cf; signpostd is at %s", what, s, s.Line, l.signpostd),
			Effect: "mail that users hand in there leaves unsigned",
			Fix:    inMaster(s, "smtpd_milters="+l.signpostd)})
	}
}

// verifiers looks at milters that judge what they did not verify: OpenDMARC reads what
// the verifier before it has written.
func (l *linter) verifiers() {
	l.eachList(func(s postfix.Service, name string, list []milter) {
		dmarc := slices.IndexFunc(list, func(m milter) bool {
			return m.port() == "8893" || strings.Contains(m.address, "dmarc")
		})
		verifier := slices.IndexFunc(list, func(m milter) bool {
			ours := l.signpostd != "" && m.at(l.signpostd, l.config.Value("queue_directory"))
			return m.signer() != "" && !ours && !strings.Contains(m.address, "dmarc")
		})
		if dmarc >= 0 && verifier > dmarc {
			l.add(finding.Finding{Code: "postfix-milter-order", Level: finding.Warning, Name: name,
				What:   fmt.Sprintf("has %s before %s", list[dmarc].address, list[verifier].address),
				Effect: "DMARC is judged before the signatures are verified, so it fails for mail that only DKIM can pass",
				Fix:    "put the verifier first, then OpenDMARC"})
		}
	})
}

// misplaced looks at non_smtpd_milters where it does nothing: cleanup(8) reads it, and
// only for mail that did not come by SMTP.
func (l *linter) misplaced() {
	for _, s := range l.config.Commands("smtpd") {
		if ownOption(s, "non_smtpd_milters") != "" && l.config.ValueIn(s, "non_smtpd_milters") != "" {
			l.add(finding.Finding{Code: "postfix-milter-misplaced", Level: finding.Note, Name: "non_smtpd_milters",
				What:   fmt.Sprintf("is set for %s, line %d of master.cf, where nobody reads it", s, s.Line),
				Effect: "mail from sendmail(1) meets the milters that main.cf names",
				Fix:    "set non_smtpd_milters in main.cf"})
		}
	}
}

// signedAgain looks at mail that signpostd signed and that comes back from a content
// filter: another signer there takes it for mail of its own host, which it is.
func (l *linter) signedAgain() {
	meets := func(s postfix.Service) bool { return l.has(l.milters(s)) }
	if l.signpostd == "" || !slices.ContainsFunc(delivery.Filtered(l.config), meets) {
		return
	}
	for _, s := range delivery.Reinjected(l.config) {
		milters := l.milters(s)
		other := slices.IndexFunc(milters, func(m milter) bool { return m.err == "" && m.signer() != "" })
		if other < 0 || l.has(milters) {
			continue
		}
		l.add(finding.Finding{Code: "postfix-filter-double", Level: finding.Warning, Name: "smtpd_milters",
			What: fmt.Sprintf("mail that signpostd signed meets %s when it comes back from the filter by %s",
				milters[other].address, s),
			Effect: "it comes from this host, so a signer there (Mode sv of OpenDKIM) adds a second signature, and a " +
				"verifier judges what is our own",
			Fix: inMaster(s, "receive_override_options=no_milters")})
	}
}
