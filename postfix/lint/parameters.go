package lint

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// reading finds values that Postfix does not take as they look.
func (l *linter) reading() {
	c := l.config
	for _, d := range c.Duplicates {
		l.add(finding.Finding{Code: "postfix-duplicate", Level: finding.Warning, Name: d.Name,
			What:   fmt.Sprintf("is set on line %d and again on line %d", d.Line, d.Last),
			Effect: "the last one counts, and Postfix warns of it at every start",
			Fix:    fmt.Sprintf("remove line %d", d.Line)})
	}
	for _, name := range c.Names() {
		if err := c.Unsound(name); err != nil {
			l.add(finding.Finding{Code: "postfix-expansion", Level: finding.Fault, Name: name,
				What:   fmt.Sprintf("line %d cannot be expanded: %v", c.Line(name), err),
				Effect: "programs of Postfix that need the value stop, and mail with them",
				Fix:    "write $$ for a dollar sign, ${name} for a value"})
		}
	}
	if !c.IsSet("compatibility_level") {
		l.add(finding.Finding{Code: "postfix-compatibility", Level: finding.Note, Name: "compatibility_level",
			What:   "is not set, so defaults are those of Postfix before 3.0",
			Effect: "Postfix logs which old default it goes by, among them those of who may relay",
			Fix:    "compatibility_level = 3.6"})
	}
}

// milterNames are all the parameters with "milter" in their name.
func milterNames() []string {
	return []string{
		"smtpd_milters", "non_smtpd_milters", "smtpd_milter_maps", "milter_default_action", "milter_protocol",
		"milter_connect_timeout", "milter_command_timeout", "milter_content_timeout", "milter_connect_macros",
		"milter_helo_macros", "milter_mail_macros", "milter_rcpt_macros", "milter_data_macros",
		"milter_end_of_header_macros", "milter_end_of_data_macros", "milter_unknown_command_macros",
		"milter_macro_daemon_name", "milter_macro_v", "milter_macro_defaults", "milter_header_checks",
	}
}

// names finds misspelt parameters. A name that something refers to is one that the
// administrator made up.
func (l *linter) names() {
	for _, name := range l.config.Names() {
		if seen := visible(name); seen != name {
			if seen == "" {
				seen = "main.cf"
			}
			l.add(finding.Finding{Code: "postfix-unknown-parameter", Level: finding.Warning, Name: seen,
				What: fmt.Sprintf("line %d: there are characters in the name that cannot be "+
					"seen: %+q", l.config.Line(name), name),
				Effect: "Postfix has no such parameter, so the setting does nothing",
				Fix:    "type the line again, and save the file without a byte order mark"})
			continue
		}
		near := ""
		switch {
		case slices.Contains(milterNames(), name) || l.config.Refers(name):
			continue
		case strings.Contains(name, "milter"):
			near = finding.Nearest(name, milterNames(), len(name))
		case !l.config.Knows(name) && !l.composed(name):
			near = finding.Nearest(name, l.config.Known(), 2)
		}
		if near != "" {
			value := l.config.Value(name)
			l.add(finding.Finding{Code: "postfix-unknown-parameter", Level: finding.Warning, Name: name,
				What:   fmt.Sprintf("line %d: Postfix has no such parameter", l.config.Line(name)),
				Effect: "the setting does nothing; perhaps it should be " + near,
				Fix:    near + " = " + value})
		}
	}
}

// visible is a name without what cannot be part of one, such as the no-break
// space of a web page and the byte order mark of an editor.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r <= '~' {
			return r
		}
		return -1
	}, name)
}

// composed reports whether a name is made from that of a transport, or is a
// class of restrictions.
func (l *linter) composed(name string) bool {
	for _, part := range []string{"_destination_", "_delivery_slot_", "_recipient_", "_time_limit",
		"_transport_", "_minimum_delivery_slots"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return postfix.HasWord(l.config.Value("smtpd_restriction_classes"), name)
}
