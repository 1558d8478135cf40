package settings

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
)

// images honours the variables of the images we slot into as they do, and warns
// of those that mean something else here, or nothing.
func (r *reader) images(d *Daemon) {
	warn := func(format string, args ...any) {
		d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...))
	}

	// Any value but the empty one is on in that image.
	if generate := r.value("autogenerate"); generate.From == "DKIM_AUTOGENERATE" {
		d.Autogenerate = true
		warnIfOff(warn, generate.From, generate.Text)
	} else {
		d.Autogenerate = r.on("autogenerate")
	}
	const debugging = "INBOUND_DEBUGGING"
	if value := os.Getenv(debugging); value != "" {
		warnIfOff(warn, debugging, value)
		if !r.c.IsSet("log-level") && os.Getenv("SIGNPOST_LOG_LEVEL") == "" {
			d.LogLevel = slog.LevelDebug
		}
	}

	environ := slices.Clone(os.Environ())
	slices.Sort(environ)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case value == "" || serviceVariable(name):
			// Kubernetes sets these for a Service of the name.
		case name == modeVariable:
			if strings.Contains(value, "v") {
				warn("%s=%s: signpostd signs and does not verify", name, value)
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

// warnIfOff warns of a variable that looks as if it were off, and is on.
func warnIfOff(warn func(string, ...any), name, value string) {
	if on, err := ParseSwitch(value); err == nil && !on {
		warn("%s=%s means on, as any value does; hint: leave it empty to turn it off", name, value)
	}
}

// known reports whether the variable sets something, here or in the companion,
// which runs in the same environment.
func known(name string) bool {
	return slices.ContainsFunc(slices.Concat(ForDaemon(), companion()), func(s Setting) bool {
		return slices.Contains(s.Variables, name)
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
