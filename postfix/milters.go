package postfix

import "strings"

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
