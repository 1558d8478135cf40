package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// milterList looks at the milters together.
func (l *linter) milterList() {
	queue := l.config.Value("queue_directory")
	l.eachList(func(s postfix.Service, name string, list []milter) {
		var signers []string
		ours := -1
		for i, m := range list {
			if m.err != "" {
				if l.config.Unsound(name) != nil {
					continue // that is what is wrong
				}
				l.add(finding.Finding{Code: "postfix-milter-syntax", Level: finding.Fault, Name: name,
					What:   m.err,
					Effect: "Postfix cannot use it, and no mail is taken",
					Fix:    l.fix(s, name, l.wanted())})
				continue
			}
			mine := l.signpostd != "" && m.at(l.signpostd, queue)
			if mine {
				ours = i
			}
			if signer := m.signer(); mine || signer != "" {
				signers = append(signers, m.address)
			}
		}
		if len(signers) > 1 {
			l.add(finding.Finding{Code: "postfix-milter-two", Level: finding.Warning, Name: name,
				What: "has two milters that sign: " + strings.Join(signers, " and "),
				Effect: "each message gets a signature from both, and when one of the keys is " +
					"out of date that one fails; unless one of them only verifies (Mode v of OpenDKIM)",
				Fix: l.fix(s, name, l.wanted())})
		} else if ours >= 0 && ours < len(list)-1 {
			l.add(finding.Finding{Code: "postfix-milter-order", Level: finding.Note, Name: name,
				What:   "has a milter after signpostd: " + texts(list[ours+1:]),
				Effect: "what it changes in header or body breaks the signature",
				Fix:    "put signpostd last"})
		}
	})
}

// eachSound calls f for each milter that Postfix can read.
func (l *linter) eachSound(f func(s postfix.Service, list string, m milter)) {
	l.eachList(func(s postfix.Service, list string, milters []milter) {
		for _, m := range milters {
			if m.err == "" {
				f(s, list, m)
			}
		}
	})
}

// eachList calls f for the milters of each service, with the parameter that
// names them.
func (l *linter) eachList(f func(postfix.Service, string, []milter)) {
	for _, s := range l.listeners() {
		f(s, "smtpd_milters", l.milters(s))
	}
	f(l.pickup(), "non_smtpd_milters", l.milters(l.pickup()))
}

// setting is a parameter of one milter: its own in braces, or that of all.
func (l *linter) setting(s postfix.Service, m milter, name string) string {
	if value, ok := m.options[name]; ok {
		return value
	}
	return l.config.ValueIn(s, "milter_"+name)
}

// milterAway looks at what happens while signpostd cannot be reached.
func (l *linter) milterAway() {
	const name = "milter_default_action"
	l.eachSound(func(s postfix.Service, list string, m milter) {
		action := l.setting(s, m, "default_action")
		// Without a verifier or a spam filter mail may well come in.
		known := []string{"accept", "quarantine", "reject"}
		if l.isOther(m) && slices.Contains(known, strings.ToLower(action)) {
			return
		}
		in, fix := name, l.fix(s, name, "tempfail")
		if _, own := m.options["default_action"]; own {
			in, fix = list, l.fix(s, list, m.address)
		}
		switch strings.ToLower(action) {
		case "tempfail", "shutdown":
		case "accept":
			l.add(finding.Finding{Code: "postfix-milter-accept", Level: finding.Warning, Name: in,
				What:   "lets mail through while the milter cannot be reached (accept)",
				Effect: "when signpostd is down, starting or slow, mail leaves unsigned without notice",
				Fix:    fix})
		case "reject":
			l.add(finding.Finding{Code: "postfix-milter-reject", Level: finding.Warning, Name: in,
				What:   "refuses mail for good while the milter cannot be reached (reject)",
				Effect: "programs get 554 as the greeting: they give up, or lose the mail",
				Fix:    fix})
		case "quarantine":
			l.add(finding.Finding{Code: "postfix-milter-quarantine", Level: finding.Warning, Name: in,
				What:   "puts mail on hold, unsigned, while the milter cannot be reached (quarantine)",
				Effect: "it waits until it is released by hand, and then leaves unsigned",
				Fix:    fix})
		default:
			l.add(finding.Finding{Code: "postfix-milter-action", Level: finding.Fault, Name: in,
				What: fmt.Sprintf("invalid action %q", action),
				Effect: "mail is refused with 451 4.3.5 while the milter cannot be reached, and " +
					"Postfix warns of the word",
				Fix: fix})
		}
	})
	if !l.config.IsSet(name) && len(l.milters(mainService())) > 0 {
		l.add(finding.Finding{Code: "postfix-milter-action-unset", Level: finding.Note, Name: name,
			What: "is not set",
			Effect: "the default is tempfail (451) up to Postfix 3.10 and shutdown (421) from " +
				"3.11 on: mail is deferred either way",
			Fix: name + " = tempfail"})
	}
}

// milterProtocol looks at how Postfix speaks to signpostd.
func (l *linter) milterProtocol() {
	l.eachSound(func(s postfix.Service, list string, m milter) {
		l.protocol(s, list, m)
		l.timeout(s, list, m, "connect_timeout", 3*time.Second, "30s")
		l.timeout(s, list, m, "command_timeout", 5*time.Second, "30s")
		l.timeout(s, list, m, "content_timeout", 30*time.Second, "300s")
		if !slices.Contains(l.macros(s), "{auth_authen}") {
			l.add(finding.Finding{Code: "postfix-milter-macros", Level: finding.Note, Name: "milter_mail_macros",
				What: "does not send {auth_authen}, the name of a client that has logged in",
				Effect: "signpostd asks for the macros that it needs, so it signs all the same; " +
					"another milter may not",
				Fix: l.fix(s, "milter_mail_macros", "i {auth_type} {auth_authen} "+
					"{auth_author} {mail_addr} {mail_host} {mail_mailer}")})
		}
	})
}

func (l *linter) macros(s postfix.Service) []string {
	return postfix.List(l.config.ValueIn(s, "milter_mail_macros"))
}

// protocol: from version 6 on Postfix says where blanks stood after the colon
// of a field, and needs fewer replies.
func (l *linter) protocol(s postfix.Service, list string, m milter) {
	value := l.setting(s, m, "protocol")
	word, _, _ := strings.Cut(strings.TrimSpace(value), " ")
	number, err := strconv.Atoi(word)
	in, fix := "milter_protocol", l.fix(s, "milter_protocol", "6")
	if _, own := m.options["protocol"]; own {
		in, fix = list, l.fix(s, list, m.address)
	}
	switch {
	case err != nil || number < 2 || number > 6 || number == 5:
		l.add(finding.Finding{Code: "postfix-milter-protocol", Level: finding.Fault, Name: in,
			What:   fmt.Sprintf("protocol %q is not one that Postfix speaks", value),
			Effect: "no milter sees the mail, which is deferred with 451",
			Fix:    fix})
	case number < 6:
		l.add(finding.Finding{Code: "postfix-milter-protocol", Level: finding.Warning, Name: in,
			What: fmt.Sprintf("is version %d of the protocol, the present one is 6", number),
			Effect: "it is slower, as Postfix waits for a reply at every step, and white space " +
				"after the colon of a field is lost, which matters to simple canonicalization",
			Fix: fix})
	}
}

// timeout: too little time, and a busy machine looks like one that is down.
func (l *linter) timeout(s postfix.Service, list string, m milter, name string, least time.Duration, stock string) {
	value := l.setting(s, m, name)
	got, ok := duration(value)
	if ok && got >= least {
		return
	}
	in, fix := "milter_"+name, l.fix(s, "milter_"+name, stock)
	if _, own := m.options[name]; own {
		in, fix = list, l.fix(s, list, m.address)
	}
	if !ok {
		l.add(finding.Finding{Code: "postfix-milter-timeout", Level: finding.Fault, Name: in,
			What:   fmt.Sprintf("invalid time %q", value),
			Effect: "smtpd and cleanup stop at it, and no mail is taken",
			Fix:    fix})
		return
	}
	l.add(finding.Finding{Code: "postfix-milter-timeout", Level: finding.Warning, Name: in,
		What:   "is " + value + ", which is short",
		Effect: "on a busy machine signpostd looks down, and mail is deferred or leaves unsigned",
		Fix:    fix})
}

// duration reads a time of Postfix: a number and one of s, m, h, d, w; seconds
// without.
func duration(value string) (time.Duration, bool) {
	const day = 24 * time.Hour
	units := map[string]time.Duration{
		"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day}
	digits := strings.TrimRight(value, "smhdw")
	number, err := strconv.Atoi(digits)
	unit, ok := units[value[len(digits):]]
	return time.Duration(number) * unit, err == nil && ok && number < 1<<31
}

// milterChanges looks at what is done to the header that signpostd adds.
func (l *linter) milterChanges() {
	if checks := l.config.Value("milter_header_checks"); checks != "" && len(l.milters(mainService())) > 0 {
		l.add(finding.Finding{Code: "postfix-milter-header-checks", Level: finding.Note, Name: "milter_header_checks",
			What:   "is " + checks,
			Effect: "it is applied to the DKIM-Signature that signpostd adds, and can change or drop it",
			Fix: fmt.Sprintf("try it: postmap -q 'DKIM-Signature: v=1; a=rsa-sha256' %s, "+
				"which should print nothing", checks)})
	}
}
