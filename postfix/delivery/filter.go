package delivery

import (
	"slices"
	"strings"

	"signpost/postfix"
)

// inbound are the services by which mail comes in: smtpd, and pickup for
// sendmail(1). Without master.cf there is one of each, as main.cf has it.
func inbound(c *postfix.Config) []postfix.Service {
	if c.Services == nil {
		return []postfix.Service{{Name: "smtp", Type: "inet", Command: "smtpd"},
			{Name: "pickup", Type: "unix", Command: "pickup"}}
	}
	return append(c.Commands("smtpd"), c.Commands("pickup")...)
}

// Filtered returns the services whose mail goes through a content filter.
func Filtered(c *postfix.Config) []postfix.Service {
	return slices.DeleteFunc(inbound(c), func(s postfix.Service) bool { return c.ValueIn(s, "content_filter") == "" })
}

// Reinjected returns the smtpd services that take mail back from a content filter: when
// there is one, those without that are not there for others. An access table may name one
// too (FILTER): then they are those that say -o content_filter=.
func Reinjected(c *postfix.Config) []postfix.Service {
	filtered := len(Filtered(c)) > 0
	return slices.DeleteFunc(c.Commands("smtpd"), func(s postfix.Service) bool {
		return c.ValueIn(s, "content_filter") != "" || !filtered && !sets(s, "content_filter") ||
			IsSubmission(c, s) || slices.Contains([]string{"smtp", "25"}, port(s))
	})
}

// ReinjectedBySendmail reports whether a content filter hands mail back by sendmail(1), as a
// program that pipe(8) runs does where no smtpd is there for it.
func ReinjectedBySendmail(c *postfix.Config) bool {
	pipes := c.Commands("pipe")
	return len(Reinjected(c)) == 0 && slices.ContainsFunc(Filtered(c), func(s postfix.Service) bool {
		transport, _, _ := strings.Cut(c.ValueIn(s, "content_filter"), ":")
		return slices.ContainsFunc(pipes, func(p postfix.Service) bool { return p.Name == transport })
	}) && !slices.ContainsFunc(Filtered(c), func(s postfix.Service) bool { return s.Command == "pickup" })
}

// IsSubmission reports whether a service is one where users hand in mail: by its name, or
// since it is there for those who log in.
func IsSubmission(c *postfix.Config, s postfix.Service) bool {
	if slices.Contains([]string{"submission", "submissions", "smtps", "587", "465"}, port(s)) {
		return true
	}
	return sets(s, "smtpd_sasl_auth_enable") && postfix.IsYes(c.ValueIn(s, "smtpd_sasl_auth_enable"))
}

// sets reports whether a service has a parameter of its own.
func sets(s postfix.Service, name string) bool {
	return slices.ContainsFunc(s.Options, func(o postfix.Parameter) bool { return o.Name == name })
}

// port is the name or number of the port that a service listens on.
func port(s postfix.Service) string { return s.Name[strings.LastIndex(s.Name, ":")+1:] }

// signs reports whether mail that comes in by the service meets a milter.
func signs(c *postfix.Config, s postfix.Service) bool { return len(c.Milters(s)) > 0 }
