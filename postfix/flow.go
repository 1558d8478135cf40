package postfix

import (
	"slices"
	"strings"
)

// Commands returns the services of master.cf that run the program.
func (c *Config) Commands(program string) []Service {
	var out []Service
	for _, s := range c.Services {
		if s.Command == program {
			out = append(out, s)
		}
	}
	return out
}

// entrances are the services by which mail comes in: smtpd, and pickup for
// sendmail(1). Without master.cf there is one of each, as main.cf has it.
func (c *Config) entrances() []Service {
	if c.Services == nil {
		return []Service{{Name: "smtp", Type: "inet", Command: "smtpd"}, {Name: "pickup", Type: "unix", Command: "pickup"}}
	}
	return append(c.Commands("smtpd"), c.Commands("pickup")...)
}

// Filtered returns the entrances whose mail goes through a content filter.
func (c *Config) Filtered() []Service {
	return slices.DeleteFunc(c.entrances(), func(s Service) bool { return c.ValueIn(s, "content_filter") == "" })
}

// Reinjected returns the smtpd services that take mail back from a content
// filter: when there is one, those without.
func (c *Config) Reinjected() []Service {
	if len(c.Filtered()) == 0 {
		return nil
	}
	return slices.DeleteFunc(c.Commands("smtpd"), func(s Service) bool { return c.ValueIn(s, "content_filter") != "" })
}

// signs reports whether mail that comes in by the service meets a milter.
func (c *Config) signs(s Service) bool { return len(c.Milters(s)) > 0 }

// Milters returns the milters that mail meets that comes in by the service, as
// they are written: "inet:host:port" or "{ inet:host:port, name=value ... }".
func (c *Config) Milters(s Service) []string {
	name := "smtpd_milters"
	if s.Command == "pickup" {
		name = "non_smtpd_milters"
		// For mail that did not come by SMTP it is cleanup that decides.
		if cleanups := c.cleanupOf(s); cleanups.Command != "" {
			return c.milters(s, cleanups, name)
		}
	}
	return c.milters(s, s, name)
}

func (c *Config) milters(entrance, asker Service, name string) []string {
	if HasWord(c.ValueIn(entrance, "receive_override_options"), "no_milters") {
		return nil
	}
	value := c.ValueIn(asker, name)
	if strings.EqualFold(value, "DISABLE") && name == "smtpd_milters" {
		return nil
	}
	return List(value)
}

// cleanupOf is the cleanup service that takes the mail of a service.
func (c *Config) cleanupOf(s Service) Service {
	name := c.ValueIn(s, "cleanup_service_name")
	if name == "" {
		name = "cleanup"
	}
	for _, cleanup := range c.Commands("cleanup") {
		if cleanup.Name == name {
			return cleanup
		}
	}
	return Service{}
}

// HasWord reports whether a list has the word, in whatever case.
func HasWord(list, word string) bool {
	return slices.ContainsFunc(List(list), func(w string) bool { return strings.EqualFold(w, word) })
}

// isYes reads a boolean as Postfix does.
func isYes(value string) bool { return strings.EqualFold(value, "yes") }
