package delivery

import (
	"slices"

	"signpost/postfix"
)

// inbound are the services by which mail comes in: smtpd, and pickup for
// sendmail(1). Without master.cf there is one of each, as main.cf has it.
func inbound(c *postfix.Config) []postfix.Service {
	if c.Services == nil {
		return []postfix.Service{{Name: "smtp", Type: "inet", Command: "smtpd"}, {Name: "pickup", Type: "unix", Command: "pickup"}}
	}
	return append(c.Commands("smtpd"), c.Commands("pickup")...)
}

// Filtered returns the services whose mail goes through a content filter.
func Filtered(c *postfix.Config) []postfix.Service {
	return slices.DeleteFunc(inbound(c), func(s postfix.Service) bool { return c.ValueIn(s, "content_filter") == "" })
}

// Reinjected returns the smtpd services that take mail back from a content
// filter: when there is one, those without.
func Reinjected(c *postfix.Config) []postfix.Service {
	if len(Filtered(c)) == 0 {
		return nil
	}
	return slices.DeleteFunc(c.Commands("smtpd"), func(s postfix.Service) bool { return c.ValueIn(s, "content_filter") != "" })
}

// signs reports whether mail that comes in by the service meets a milter.
func signs(c *postfix.Config, s postfix.Service) bool { return len(c.Milters(s)) > 0 }
