package postfix

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Options are what the companion is told beside the variables.
type Options struct {
	Dir        string // configuration directory, absolute
	Milter     string // where signpostd listens, as smtpd_milters has it
	Subdomains bool   // accept senders in subdomains of the allowed domains
}

// Machine is what the settings depend on beside the variables and main.cf.
type Machine struct {
	Hostname string                 // used where no variable names the host
	Exists   func(path string) bool // certificates are only named when they exist
	// CanForbidBareNewline says that this Postfix has the protection against
	// SMTP smuggling and leaves it off. One that does not know the parameter
	// would warn of it at every start.
	CanForbidBareNewline bool
}

// Wanted is what the variables ask for.
type Wanted struct {
	Settings []Setting
	Senders  []byte   // content of the map of allowed senders; nil for no map
	Password []byte   // content of the map with the relay's password, a secret; nil for no map
	Warnings []string // one line each
}

// plan is a Wanted in the making.
type plan struct {
	Wanted
	vars    map[string]string
	base    *MainCF // main.cf as it is without us
	options Options
	machine Machine
}

// FromVariables works out the settings from the variables that the image
// boky/postfix takes. main is main.cf as it is. All errors are about the
// variables or options, and name the one at fault.
func FromVariables(vars map[string]string, main *MainCF, options Options, machine Machine) (*Wanted, error) {
	p := &plan{vars: vars, base: main.Base(), options: options, machine: machine}
	steps := []func() error{
		p.sendOnly, p.host, p.networks, p.restrictions, p.limits, p.relay, p.clientTLS,
		p.serverTLS, p.debugging, p.masquerade, p.milter, p.overrides, p.notDone,
	}
	if err := checkDir(options.Dir); err != nil {
		return nil, err
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return &p.Wanted, nil
}

// checkDir keeps names out of main.cf that would not be read as one word.
func checkDir(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("configuration directory %q is not an absolute path", dir)
	}
	if strings.ContainsAny(dir, " \t\n\v\f\r,{}$\"") {
		return fmt.Errorf("configuration directory %q cannot be named in main.cf; hint: use a path without white space, comma, brace, quote and $", dir)
	}
	return nil
}

// set wants a parameter to have the value.
func (p *plan) set(name, value string) {
	p.put(Setting{Name: name, Value: value})
}

// put adds the setting, in place of one of the same name.
func (p *plan) put(s Setting) {
	i := slices.IndexFunc(p.Settings, func(old Setting) bool { return old.Name == s.Name })
	if i >= 0 {
		p.Settings[i] = s
		return
	}
	p.Settings = append(p.Settings, s)
}

func (p *plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// first returns the first of the variables that is not empty, and its name.
func (p *plan) first(names ...string) (name, value string) {
	for _, name := range names {
		if value := trimSpace(p.vars[name]); value != "" {
			return name, value
		}
	}
	return "", ""
}

// has reports whether a variable is set, be it to nothing.
func (p *plan) has(name string) bool {
	_, ok := p.vars[name]
	return ok
}

// theirs returns the value that a parameter has without us: from its variable,
// else from main.cf, else "".
func (p *plan) theirs(parameter string) string {
	if p.has(overridePrefix + parameter) {
		return trimSpace(p.vars[overridePrefix+parameter])
	}
	value, _ := p.base.Get(parameter)
	return value
}

// switchedOn reports whether a switch is on. Any text is on, as in the image
// whose variables these are.
func (p *plan) switchedOn(name string) bool {
	value := p.vars[name]
	switch strings.ToLower(trimSpace(value)) {
	case "no", "0", "false", "off", "n":
		p.warn("%s=%s means on, for any text does; hint: leave the variable out to switch it off", name, trimSpace(value))
	}
	return value != ""
}

// sendOnly sets what makes Postfix a relay for its own network in a container:
// it delivers nothing locally and logs to standard output.
func (p *plan) sendOnly() error {
	p.set("compatibility_level", "3.6")
	p.set("maillog_file", "/dev/stdout")
	p.set("inet_interfaces", "all")
	p.set("inet_protocols", "all")
	p.set("mydestination", "")
	p.set("relay_domains", "")
	// Nothing is local, so nothing may be looked up in files that a minimal
	// image does not have.
	p.set("local_transport", "error:5.1.1 local delivery is disabled")
	p.set("local_recipient_maps", "")
	p.set("alias_maps", "")
	p.set("alias_database", "")
	p.set("biff", "no")
	// A conversion to quoted-printable on the way out comes after signing and
	// breaks the signature (RFC 6376, section 5.3). Next hops without 8BITMIME
	// hardly exist.
	p.set("disable_mime_output_conversion", "yes")
	if p.machine.CanForbidBareNewline {
		// "yes" is understood by all versions that know the parameter,
		// "normalize" is not.
		p.set("smtpd_forbid_bare_newline", "yes")
	}
	return nil
}

// limits lets messages of any size through, as the image does.
func (p *plan) limits() error {
	_, value := p.first("MESSAGE_SIZE_LIMIT")
	if value == "" {
		value = "0"
	}
	if strings.Trim(value, "0123456789") != "" {
		return fmt.Errorf("MESSAGE_SIZE_LIMIT=%q is no number of bytes; hint: 0 is unlimited, 10485760 is 10 MiB", value)
	}
	p.set("message_size_limit", value)
	// Postfix refuses to run a delivery agent whose limit is below that of
	// messages.
	p.set("mailbox_size_limit", "0")
	p.set("virtual_mailbox_limit", "0")
	p.set("header_size_limit", "4096000")
	return nil
}

// debugging logs whole SMTP sessions of our own clients.
func (p *plan) debugging() error {
	if p.switchedOn("INBOUND_DEBUGGING") {
		p.set("debug_peer_list", "$mynetworks")
	}
	return nil
}

// masquerade strips host names below the given domains from addresses.
func (p *plan) masquerade() error {
	_, value := p.first("MASQUERADED_DOMAINS")
	if value == "" {
		return nil
	}
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r < 0x80 && isSpace(byte(r)) })
	for _, word := range words {
		if _, err := domainForms(strings.TrimPrefix(word, "!")); err != nil {
			return fmt.Errorf("MASQUERADED_DOMAINS: %w; hint: list domains like example.org", err)
		}
	}
	p.set("masquerade_domains", strings.Join(words, " "))
	// Header rewriting is off for clients by default.
	p.set("local_header_rewrite_clients", "static:all")
	return nil
}
