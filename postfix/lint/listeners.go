package lint

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
	"signpost/postfix/delivery"
)

// milterSet looks at main.cf: whether mail meets signpostd at all, by SMTP and
// by sendmail(1).
func (l *linter) milterSet() {
	value, local := l.config.Value("smtpd_milters"), l.config.Value("non_smtpd_milters")
	main, pickup := l.milters(mainService()), l.milters(l.pickup())
	somewhere := slices.ContainsFunc(l.listeners(), func(s postfix.Service) bool { return l.has(l.milters(s)) })
	off := postfix.HasWord(l.config.Value("receive_override_options"), "no_milters")
	if off {
		l.add(finding.Finding{Code: "postfix-no-milters", Level: finding.Fault, Name: "receive_override_options",
			What:   "has no_milters",
			Effect: "no milter sees any mail, so it leaves unsigned",
			Fix:    "take no_milters out of " + l.place(mainService(), "receive_override_options")})
	}
	switch {
	case somewhere || l.has(main) || off: // milterListeners asks the services
	case value == "" || strings.EqualFold(value, "DISABLE"):
		l.add(finding.Finding{Code: "postfix-milter-missing", Level: finding.Fault, Name: "smtpd_milters",
			What:   "names no milter",
			Effect: "mail that comes by SMTP leaves unsigned",
			Fix:    l.both(pickup)})
	default:
		l.add(finding.Finding{Code: "postfix-milter-other", Level: finding.Fault, Name: "smtpd_milters",
			What: fmt.Sprintf("is %s, signpostd is at %s", value, l.signpostd),
			Effect: "signpostd does not see mail that comes by SMTP: it is signed by whatever " +
				"listens there, or not at all",
			Fix: l.both(pickup)})
	}
	switch {
	case !somewhere && !l.has(main) || l.has(pickup) || off || l.signedLater(l.pickup()) ||
		len(pickup) == 0 && local != "":
	case local == "":
		l.add(finding.Finding{Code: "postfix-milter-sendmail", Level: finding.Warning, Name: "non_smtpd_milters",
			What:   "names no milter",
			Effect: "mail from sendmail(1), so from cron, mail(1) and PHP, leaves unsigned",
			Fix:    "non_smtpd_milters = " + l.wanted()})
	default:
		l.add(finding.Finding{Code: "postfix-milter-sendmail", Level: finding.Warning, Name: "non_smtpd_milters",
			What:   fmt.Sprintf("is %s, signpostd is at %s", local, l.signpostd),
			Effect: "signpostd does not see mail from sendmail(1)",
			Fix:    "non_smtpd_milters = " + l.wanted()})
	}
	if len(main) > 0 && len(pickup) > 0 && l.signpostd == "" &&
		!slices.ContainsFunc(pickup, func(m milter) bool {
			return slices.ContainsFunc(main, func(n milter) bool { return m.at(n.address, l.config.Value("queue_directory")) })
		}) {
		l.add(finding.Finding{Code: "postfix-milter-sendmail", Level: finding.Warning, Name: "non_smtpd_milters",
			What:   fmt.Sprintf("is %s, but smtpd_milters is %s", local, value),
			Effect: "mail from sendmail(1) is signed by another, or not at all",
			Fix:    "non_smtpd_milters = $smtpd_milters"})
	}
	if maps := l.config.Value("smtpd_milter_maps"); maps != "" {
		l.add(finding.Finding{Code: "postfix-milter-maps", Level: finding.Warning, Name: "smtpd_milter_maps",
			What:   "is " + maps,
			Effect: "mail from the clients in it meets other milters, or none (DISABLE)",
			Fix:    "make sure that no client in it sends mail of your own domains"})
	}
}

// both is the advice to set the milter for mail by SMTP and, where that lacks it
// too, by sendmail(1).
func (l *linter) both(pickup []milter) string {
	set := "smtpd_milters = " + l.wanted()
	if l.has(pickup) {
		return set
	}
	return "in main.cf, write\n" + set + "\nnon_smtpd_milters = $smtpd_milters"
}

// pickup is the service that takes mail from sendmail(1).
func (l *linter) pickup() postfix.Service {
	if all := l.config.Commands("pickup"); len(all) > 0 {
		return all[0]
	}
	return postfix.Service{Name: "pickup", Type: "unix", Command: "pickup"}
}

// milterListeners looks at master.cf: at services where the milter is switched
// off. The one that takes mail back from a content filter does not count.
func (l *linter) milterListeners() {
	meets := func(s postfix.Service) bool { return l.has(l.milters(s)) }
	if !slices.ContainsFunc(append(l.listeners(), mainService()), meets) {
		return // milterSet has said so
	}
	back := delivery.Reinjected(l.config)
	for _, s := range append(slices.Clone(l.config.Commands("smtpd")), l.config.Commands("pickup")...) {
		again := slices.ContainsFunc(back, func(b postfix.Service) bool { return b.Line == s.Line })
		if again || l.has(l.milters(s)) || l.signedLater(s) {
			continue
		}
		level, effect := finding.Warning, "mail that comes in there leaves unsigned"
		if isLoopback(s.Name) {
			level, effect = finding.Note, "what programs on this machine send by it leaves unsigned"
		}
		option := ownOption(s, "receive_override_options")
		if option != "" && postfix.HasWord(l.config.ValueIn(s, "receive_override_options"), "no_milters") {
			l.add(finding.Finding{Code: "postfix-no-milters", Level: level, Name: "receive_override_options",
				What:   fmt.Sprintf("has no_milters for %s, line %d of master.cf", s, s.Line),
				Effect: effect,
				Fix:    inMaster(s, "receive_override_options= without no_milters")})
			continue
		}
		for _, name := range []string{"smtpd_milters", "non_smtpd_milters"} {
			if asker := l.decider(s, name); ownOption(asker, name) != "" {
				what := "names no milter"
				if value := l.config.ValueIn(asker, name); value != "" {
					what = "is " + value
				}
				l.add(finding.Finding{Code: "postfix-milter-off", Level: level, Name: name,
					What:   fmt.Sprintf("%s for %s, line %d of master.cf", what, asker, asker.Line),
					Effect: effect,
					Fix:    fmt.Sprintf("in master.cf, line %d, take out -o %s", asker.Line, name)})
			}
		}
	}
}

// decider is the service whose -o counts for a list of milters: cleanup where
// the mail does not come by SMTP.
func (l *linter) decider(s postfix.Service, name string) postfix.Service {
	if name == "smtpd_milters" && s.Command == "smtpd" {
		return s
	}
	if name == "non_smtpd_milters" && s.Command == "pickup" {
		for _, c := range l.config.Commands("cleanup") {
			if c.Name == "cleanup" {
				return c
			}
		}
	}
	return postfix.Service{}
}

// signedLater reports whether mail from a service goes to a filter and may meet the
// milter when it comes back, by whatever service.
func (l *linter) signedLater(s postfix.Service) bool {
	return l.config.ValueIn(s, "content_filter") != "" &&
		slices.ContainsFunc(append(l.listeners(), l.pickup()), func(b postfix.Service) bool {
			return l.config.ValueIn(b, "content_filter") == "" && l.has(l.milters(b))
		})
}

// ownOption returns the "-o name" of a service, as a mark that it has one.
func ownOption(s postfix.Service, name string) string {
	for _, o := range s.Options {
		if o.Name == name {
			return name
		}
	}
	return ""
}

// isLoopback reports whether an inet service is bound to the machine itself.
func isLoopback(name string) bool {
	host := strings.Trim(name[:max(0, strings.LastIndexByte(name, ':'))], "[]")
	return strings.HasPrefix(host, "127.") || host == "::1" || host == "localhost"
}
