// Package setup works out the configuration of a send-only Postfix from the
// variables that the image boky/postfix takes. It reads no environment; the
// caller hands it the variables.
package setup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// Request is what is wanted beside the variables.
type Request struct {
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
	Parameters []postfix.Parameter
	Senders    postfix.Map // of allowed senders
	Password   postfix.Map // with the relay's password
	Warnings   []error     // each with a hint
}

// Change works out what has to be done to the files of a directory.
func (w *Wanted) Change(dir *postfix.Dir) (*postfix.Change, error) {
	return dir.Change(w.Parameters, w.Senders, w.Password)
}

// plan is a Wanted in the making.
type plan struct {
	Wanted
	vars    map[string]string
	base    *postfix.MainCF // main.cf as it is without us
	request Request
	machine Machine
}

// FromVariables works out the settings from the variables that the image
// boky/postfix takes. main is main.cf as it is. All errors are about the
// variables or request, and name the one at fault.
func FromVariables(vars map[string]string, main *postfix.MainCF, request Request, machine Machine) (*Wanted, error) {
	p := &plan{
		Wanted: Wanted{Senders: postfix.Map{Name: sendersFile}, Password: postfix.Map{Name: passwordFile, Secret: true}},
		vars:   vars, base: main.Base(), request: request, machine: machine,
	}
	steps := []func() error{
		p.sendOnly, p.host, p.networks, p.restrictions, p.limits, p.relay, p.clientTLS,
		p.serverTLS, p.debugging, p.masquerade, p.milter, p.bounces, p.overrides, p.notDone,
	}
	if err := checkDir(request.Dir); err != nil {
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
		return finding.WithHint(fmt.Errorf("configuration directory %q cannot be named in main.cf", dir),
			"use a path without white space, comma, brace, quote and $")
	}
	return nil
}

// set wants a parameter to have the value.
func (p *plan) set(name, value string) {
	p.put(postfix.Parameter{Name: name, Value: value})
}

// put adds the parameter, in place of one of the same name.
func (p *plan) put(s postfix.Parameter) {
	i := slices.IndexFunc(p.Parameters, func(old postfix.Parameter) bool { return old.Name == s.Name })
	if i >= 0 {
		p.Parameters[i] = s
		return
	}
	p.Parameters = append(p.Parameters, s)
}

func (p *plan) warn(err error, advice string, args ...any) {
	p.Warnings = append(p.Warnings, finding.WithHint(err, advice, args...))
}

// first returns the first of the variables that is not empty, and its name.
func (p *plan) first(names ...string) (name, value string) {
	for _, name := range names {
		if value := postfix.TrimSpace(p.vars[name]); value != "" {
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
		return postfix.TrimSpace(p.vars[overridePrefix+parameter])
	}
	value, _ := p.base.Get(parameter)
	return value
}

// switchedOn reports whether a switch is on. Any text is on, as in the image
// whose variables these are.
func (p *plan) switchedOn(name string) bool {
	value := p.vars[name]
	switch strings.ToLower(postfix.TrimSpace(value)) {
	case "no", "0", "false", "off", "n":
		p.warn(fmt.Errorf("%s=%s means on, for any text does", name, postfix.TrimSpace(value)),
			"leave the variable out to switch it off")
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
		return finding.WithHint(fmt.Errorf("MESSAGE_SIZE_LIMIT=%q must be a number of bytes", value),
			"0 is unlimited, 10485760 is 10 MiB")
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
	words := postfix.List(value)
	for _, word := range words {
		if _, err := addressForms(strings.TrimPrefix(word, "!")); err != nil {
			return finding.WithHint(fmt.Errorf("MASQUERADED_DOMAINS: %w", err),
				"list domains like example.org")
		}
	}
	p.set("masquerade_domains", strings.Join(words, " "))
	// Header rewriting is off for clients by default.
	p.set("local_header_rewrite_clients", "static:all")
	return nil
}
