package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"signpost/milter"
)

// images honours the variables of the images we slot into as they stand there,
// and warns of those that do something else here, or nothing.
func (r *reader) images(s *settings) {
	warn := func(format string, args ...any) { s.warnings = append(s.warnings, fmt.Sprintf(format, args...)) }

	// Any value but the empty one is on in that image.
	s.autogenerate = r.c.Bool("autogenerate")
	if !r.c.IsSet("autogenerate") && r.env["SIGNPOST_AUTOGENERATE"] != "" {
		s.autogenerate = r.On("autogenerate")
	} else if value := r.env["DKIM_AUTOGENERATE"]; value != "" && !r.c.IsSet("autogenerate") {
		s.autogenerate = true
		if off(value) {
			warn("DKIM_AUTOGENERATE=%s means on, as any value does; hint: leave it empty to turn it off", value)
		}
	}
	if value := r.env["INBOUND_DEBUGGING"]; value != "" {
		if off(value) {
			warn("INBOUND_DEBUGGING=%s means on, as any value does; hint: leave it empty to turn it off", value)
		}
		if !r.c.IsSet("log-level") && r.env["SIGNPOST_LOG_LEVEL"] == "" {
			s.logLevel = slog.LevelDebug
		}
	}

	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		value := r.env[name]
		switch {
		case serviceVariable(name):
			// Kubernetes sets these for a Service of the name.
		case name == "OPENDKIM_Mode":
			warning, err := milter.CheckMode(value)
			if err != nil {
				r.Fail(err)
			} else if warning != "" {
				warn("%s", warning)
			}
		case name == "OPENDKIM_LogWhy":
			// The log always says why.
		case strings.HasPrefix(name, "OPENDKIM_") && !known(name):
			warn("%s is not honoured; hint: see signpostd --help for what there is", name)
		case strings.HasPrefix(name, "SIGNPOST_") && !known(name):
			warn("%s is no variable of signpostd; hint: see signpostd --help for those there are", name)
		}
	}
}

func off(value string) bool {
	switch strings.ToLower(value) {
	case "no", "false", "0", "off":
		return true
	}
	return false
}

// known reports whether an option is taken from the variable, here or by the
// companion, which runs in the same environment.
func known(name string) bool {
	switch name {
	case "SIGNPOST_MILTER", "SIGNPOST_POSTFIX_CONFIG", "SIGNPOST_PASSWORD":
		return true
	}
	return slices.ContainsFunc(options(), func(o milter.Setting) bool {
		return slices.Contains(o.Variables, name)
	})
}

// serviceVariable reports whether the name has the form that Kubernetes and
// container links give to variables.
func serviceVariable(name string) bool {
	for _, suffix := range []string{"_PORT", "_HOST", "_ADDR", "_PROTO", "_TCP", "_UDP"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.Contains(name, "_SERVICE_PORT")
}
