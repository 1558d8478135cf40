package lint

import (
	"fmt"
	"strings"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/postfix"
)

// bounces are made by Postfix itself. They meet the milters of sendmail(1), and only where
// internal_mail_filter_classes says so, and are of MAILER-DAEMON@$myorigin.
func (l *linter) bounces() {
	const name = "internal_mail_filter_classes"
	classes := l.config.Value(name)
	if len(l.milters(l.pickup())) == 0 {
		return
	}
	origin, known := l.config.Origin()
	covered := !known || l.HasKey == nil || l.covers(origin) != ""
	if postfix.HasWord(classes, "bounce") {
		if !covered {
			what := "is " + origin + ", and no key covers that, so bounces leave unsigned"
			if l.Instead != "" {
				what = "is " + origin + ", and no key covers that, so bounces are signed by " + l.Instead + " alone"
			}
			l.add(finding.Finding{Code: "postfix-bounces-no-key", Level: finding.Warning, Name: "myorigin",
				What: what, Effect: "they come from MAILER-DAEMON@" + origin + "; " + unsignedBounces,
				Fix: l.coverBounces(origin)})
		}
		l.bouncesFiltered()
		return
	}
	line := name + " = bounce"
	if postfix.HasWord(classes, "notify") {
		line += ", notify"
	}
	effect, fix := "they come from MAILER-DAEMON@"+origin, line
	switch {
	case !known:
		effect = "they come from MAILER-DAEMON at the domain of myorigin, which then needs a key"
	case l.HasKey == nil:
		effect += ", which then needs a key"
	case covered && l.covers(origin) == origin:
		effect += ", which has a key"
	case covered:
		effect += ", which the key of " + l.covers(origin) + " covers"
	default:
		effect += ", which no key covers"
		fix = l.coverBounces(origin) + "\n" + line
	}
	l.add(finding.Finding{Code: "postfix-bounces-unsigned", Level: finding.Note, Name: name,
		What: "bounces meet no milter, so they leave unsigned", Effect: effect + "; " + unsignedBounces, Fix: fix})
}

const unsignedBounces = "a receiver that wants mail of this domain signed by it (DMARC) does not take them"

// covers returns the domain whose key signs for a name: itself or, with Subdomains, the
// nearest above it that has one; "" for none.
func (l *linter) covers(name string) string {
	for domain := range dns.Walk(name) {
		if l.HasKey(domain) {
			return domain
		}
		if !l.Subdomains {
			break
		}
	}
	return ""
}

// coverBounces is the advice for a myorigin that no key covers: another one, a key for it, or
// the key of the domain above it. All align with From: (RFC 7489, section 3.1.1), the last
// unless the policy has adkim=s.
func (l *linter) coverBounces(origin string) string {
	above := ""
	for domain := range dns.Walk(origin) {
		if domain != origin && l.HasKey(domain) {
			above = domain
			break
		}
	}
	keygen := "make a key for it, with signpost keygen " + origin
	switch {
	case above != "":
		return fmt.Sprintf("%s, or let the key of %s sign for names below it (--subdomains), or set\nmyorigin = %s",
			keygen, above, above)
	case !strings.Contains(origin, "."):
		return "set a domain that has a key, such as\nmyorigin = example.org"
	}
	return keygen + ", or set myorigin to a domain that has one"
}

// bouncesFiltered looks at what a bounce meets beside the milter.
func (l *linter) bouncesFiltered() {
	for _, name := range []string{"header_checks", "body_checks"} {
		if value := l.config.Value(name); value != "" {
			l.add(finding.Finding{Code: "postfix-bounces-filtered", Level: finding.Note, Name: name,
				What: "bounces meet it too, for internal_mail_filter_classes has bounce",
				Effect: "one that it refuses is tried again, and the message that came back stays in the queue " +
					"until it is taken",
				Fix: "let nothing in " + name + " refuse mail from the null sender, or mail that quotes other mail"})
		}
	}
}
