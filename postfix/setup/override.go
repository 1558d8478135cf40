package setup

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// overridePrefix starts the variables that set a parameter of main.cf.
const overridePrefix = "POSTFIX_"

// overrides lets POSTFIX_<parameter>=value win over everything of ours. An
// empty value takes the parameter out of main.cf.
func (p *plan) overrides() error {
	parameter := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	for _, variable := range slices.Sorted(maps.Keys(p.vars)) {
		name, ok := strings.CutPrefix(variable, overridePrefix)
		if !ok || p.notParameter(variable, name) {
			continue
		}
		if !parameter.MatchString(name) {
			return finding.WithHint(fmt.Errorf("%s: invalid parameter name %q", variable, name),
				"see postconf(5)")
		}
		// The value is not shown: it may be a password.
		value := postfix.TrimSpace(p.vars[variable])
		if strings.ContainsAny(value, "\n\r\x00") {
			return finding.WithHint(fmt.Errorf("%s has more than one line", variable),
				"put the value on one line, main.cf needs no line breaks")
		}
		p.put(postfix.Parameter{Name: name, Value: value, Unset: value == ""})
	}
	return nil
}

// notParameter reports whether a variable with our prefix sets no parameter.
// The orchestrator sets such variables for a service that is called postfix,
// or postfix-something: POSTFIX_PORT=tcp://..., POSTFIX_SERVICE_HOST,
// POSTFIX_PORT_25_TCP_ADDR. No parameter of Postfix is without a lower-case
// letter.
func (p *plan) notParameter(variable, name string) bool {
	link := regexp.MustCompile(`(^|_)(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|` +
		`PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?|NAME|ENV_.*)$`)
	switch {
	case regexp.MustCompile(`^MAIL(_[A-Z0-9]+)+`).MatchString(name):
		return true
	case strings.ContainsAny(name, "abcdefghijklmnopqrstuvwxyz"):
		return false
	case link.MatchString(name):
		p.warn(fmt.Errorf("%s is ignored, for Kubernetes sets it for a service", variable),
			"enableServiceLinks: false keeps such variables away")
	default:
		p.warn(fmt.Errorf("%s is ignored, for no parameter is called %q", variable, name),
			"parameters are in lower case, like POSTFIX_myhostname")
	}
	return true
}

// notDone warns of variables that the image boky/postfix takes and we do not.
func (p *plan) notDone() error {
	exact := map[string]string{
		"SMTPD_SASL_USERS": "clients are known by their network; list it in POSTFIX_mynetworks",
		"SMTP_HEADER_CHECKS": "headers changed after signing break the signature; set " +
			"POSTFIX_header_checks, which comes before",
		"LOG_FORMAT":       "Postfix logs plain text on standard output",
		"ANONYMIZE_EMAILS": "addresses are logged as they are; filter the log where it is collected",
		"AUTOSET_HOSTNAME": "set POSTFIX_myhostname to the name that your address resolves to",
		"DKIM_BACKEND":     "signpostd signs; leave the variable out",
	}
	for _, name := range slices.Sorted(maps.Keys(p.vars)) {
		hint := exact[name]
		switch {
		case p.vars[name] == "" || name == "LOG_FORMAT" && p.vars[name] == "plain":
			continue
		case strings.HasPrefix(name, "XOAUTH2_"):
			hint = "use a relay that takes a password, with RELAYHOST_PASSWORD_FILE"
		case strings.HasPrefix(name, "RSPAMD_") && strings.Contains(name, "__"):
			hint = "there is no rspamd; signpostd signs with the keys in its key directory"
		}
		if hint != "" {
			p.warn(fmt.Errorf("%s is not supported and ignored", name), "%s", hint)
		}
	}
	return nil
}
