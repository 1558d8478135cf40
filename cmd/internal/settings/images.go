package settings

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// images honours the variables of the images we slot into as they do, and warns
// of those that mean something else here, or nothing.
func (r *reader) images(d *Daemon) {
	warn := func(what, hint string) {
		d.Warnings = append(d.Warnings, finding.WithHint(errors.New(what), hint))
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
				warn(name+"="+value+": signpostd signs and does not verify; in boky/postfix the v "+
					"never did anything, since InternalHosts was everybody (0.0.0.0/0) there",
					"set it to s; mail that is received is verified by another milter, "+
						"before it comes to signpostd or at another port")
			}
		case name == "OPENDKIM_LogWhy":
			// The log always says why.
		case strings.HasPrefix(name, "OPENDKIM_") && !known(name):
			warn(name+" is ignored", meantVariable(name)+"see signpostd --help for the variables that have an effect")
		case strings.HasPrefix(name, "SIGNPOST_") && !known(name):
			warn(name+" is not a variable of signpostd", meantVariable(name)+"see signpostd --help for the list")
		}
	}
}

// warnIfOff warns of a variable that looks as if it were off, and is on.
func warnIfOff(warn func(what, hint string), name, value string) {
	if on, err := ParseSwitch(value); err == nil && !on {
		warn(name+"="+value+" means on, as any value does", "leave it empty to turn it off")
	}
}

// known reports whether the variable sets something, here or in the companion,
// which runs in the same environment.
func known(name string) bool { return slices.Contains(variables(), name) }

func variables() (names []string) {
	for _, s := range slices.Concat(ForDaemon(), companion()) {
		names = append(names, s.Variables...)
	}
	return names
}

// meantVariable asks whether another variable was meant. What they all begin with
// says nothing of that.
func meantVariable(name string) string {
	prefix, rest, _ := strings.Cut(name, "_")
	var rests []string
	for _, variable := range variables() {
		if rest, ok := strings.CutPrefix(variable, prefix+"_"); ok {
			rests = append(rests, rest)
		}
	}
	return didYouMean(prefix+"_", rest, rests)
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
