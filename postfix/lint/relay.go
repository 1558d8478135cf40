package lint

import (
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// Whether Postfix relays for anybody is worked out from the restrictions as
// smtpd(8) reads them: it is to be known before the server runs, and Postfix has
// no tool that says so. A test compares the answers with those of a real smtpd.

// A verdict is what a list of restrictions says of a client.
type verdict int

const (
	undecided verdict = iota // the end of the list, which lets through
	permitted                // by this list; others may still refuse
	refused
)

// An outsider is a client outside mynetworks, without a login, that sends mail to
// a domain of others.
type outsider struct {
	l       *linter
	service postfix.Service
	forges  bool // it uses a sender, recipient or greeting that a map permits
	early   bool // judged before the recipient is known
	steps   *int // restrictions so far, over all lists: classes can name one another
}

// tooMany is the most restrictions to look at, for classes that name each other.
const tooMany = 500

// openRelay asks of each listener whether it takes mail for anywhere from an
// outsider. Every list must let it through, and the end of a list does.
func (l *linter) openRelay() {
	if slices.Contains([]string{"loopback-only", "localhost", "127.0.0.1"}, l.config.Value("inet_interfaces")) {
		return
	}
	const fix = "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, " +
		"reject_unauth_destination"
	for _, s := range l.listeners() {
		switch {
		case s.Type != "inet" && s.Type != "pass" || isLoopback(s.Name):
		case !l.mayServe(s):
			l.add(finding.Finding{Code: "postfix-relay-unguarded", Level: finding.Fault, Name: "smtpd_relay_restrictions",
				What:   "neither it nor smtpd_recipient_restrictions refuses anybody, for " + s.String(),
				Effect: "smtpd stops rather than be an open relay, and no mail is taken",
				Fix:    fix})
		case l.lets(outsider{l: l, service: s}):
			l.add(finding.Finding{Code: "postfix-open-relay", Level: finding.Fault, Name: "smtpd_relay_restrictions",
				What:   "lets anybody send to anywhere, by " + s.String(),
				Effect: "an open relay: spammers find it within hours, and the address is listed",
				Fix:    fix})
		case l.lets(outsider{l: l, service: s, forges: true}):
			l.add(finding.Finding{Code: "postfix-relay-by-map", Level: finding.Warning, Name: "smtpd_recipient_restrictions",
				What:   "lets anybody send to anywhere, by " + s.String() + ", with a sender or greeting that a map knows",
				Effect: "both can be forged: who guesses one has an open relay",
				Fix:    fix})
		}
	}
}

// lets runs through the lists as smtpd does.
func (l *linter) lets(who outsider) bool {
	who.steps = new(int)
	who.early = strings.EqualFold(l.config.ValueIn(who.service, "smtpd_delay_reject"), "no")
	for _, name := range []string{
		"smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions",
		"smtpd_relay_restrictions", "smtpd_recipient_restrictions",
		"smtpd_data_restrictions", "smtpd_end_of_data_restrictions",
	} {
		if name == "smtpd_relay_restrictions" {
			who.early = false
		}
		if who.ask(l.config.ValueIn(who.service, name)) == refused {
			return false
		}
	}
	return true
}

// mayServe reports whether smtpd finds a restriction that can refuse; without
// one in either list it does not serve.
func (l *linter) mayServe(s postfix.Service) bool {
	for _, name := range []string{"smtpd_relay_restrictions", "smtpd_recipient_restrictions"} {
		steps := 0
		if l.canRefuse(s, l.config.ValueIn(s, name), &steps) {
			return true
		}
	}
	return false
}

// canRefuse looks no further than a permit, as smtpd does.
func (l *linter) canRefuse(s postfix.Service, list string, steps *int) bool {
	words := postfix.List(list)
	for i := 0; i < len(words) && *steps < tooMany; i++ {
		*steps++
		switch word := strings.ToLower(words[i]); {
		case word == "warn_if_reject":
			i++
		case word == "permit":
			return false
		case slices.Contains([]string{"reject", "defer", "defer_if_permit", "reject_unauth_destination",
			"defer_unauth_destination", "check_relay_domains"}, word):
			return true
		case l.isClass(s, words[i]) && l.canRefuse(s, l.config.ValueIn(s, words[i]), steps):
			return true
		}
	}
	return false
}

func (l *linter) isClass(s postfix.Service, word string) bool {
	return postfix.HasWord(l.config.ValueIn(s, "smtpd_restriction_classes"), word)
}

// ask returns what a list says of the client.
func (who outsider) ask(list string) verdict {
	words := postfix.List(list)
	for i := 0; i < len(words); i++ {
		if *who.steps++; *who.steps > tooMany {
			return undecided
		}
		name, argument := words[i], ""
		if takesMap(name) && i+1 < len(words) {
			i++
			argument = words[i]
		}
		if name == "warn_if_reject" {
			if i+1 < len(words) && takesMap(words[i+1]) {
				i++
			}
			i++
			continue
		}
		if v := who.one(name, argument); v != undecided {
			return v
		}
	}
	return undecided
}

// takesMap reports whether a restriction is followed by a word of its own.
func takesMap(name string) bool {
	if strings.HasPrefix(name, "check_") && strings.HasSuffix(name, "_access") ||
		name == "check_policy_service" || name == "sleep" {
		return true
	}
	return slices.ContainsFunc([]string{"reject_rbl", "reject_rhsbl_", "permit_dnswl_", "permit_rhswl_"},
		func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// one returns what one restriction says. One that looks at addresses, names or
// reputation is taken to find nothing.
func (who outsider) one(name, argument string) verdict {
	switch strings.ToLower(name) {
	case "permit":
		return permitted
	case "reject", "defer", "defer_if_permit": // whoever is let through is deferred
		return refused
	case "reject_unauth_destination", "defer_unauth_destination":
		if !who.early {
			return refused
		}
	}
	if kind, action, ok := strings.Cut(argument, ":"); ok && kind == "static" {
		return who.access(strings.Trim(action, "{} "))
	}
	claimed := strings.HasPrefix(name, "check_sender_access") || strings.HasPrefix(name, "check_helo_access")
	if who.forges && claimed && strings.HasSuffix(name, "_access") {
		return permitted
	}
	if who.l.isClass(who.service, name) {
		return who.ask(who.l.config.ValueIn(who.service, name))
	}
	return undecided
}

// access reads an action of access(5).
func (who outsider) access(action string) verdict {
	word, _, _ := strings.Cut(action, " ")
	switch word = strings.ToLower(word); {
	case word == "ok" || word != "" && strings.Trim(word, "0123456789") == "":
		if word != "ok" && (word[0] == '4' || word[0] == '5') && len(word) == 3 {
			return refused
		}
		return permitted
	case word == "reject" || word == "defer" || word == "discard":
		return refused
	case word == "dunno" || word == "":
		return undecided
	}
	return who.ask(action)
}
