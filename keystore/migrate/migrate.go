// Package migrate reads how other software signs mail, for it to be carried
// over: OpenDKIM, rspamd, and directories of key files. It changes nothing.
package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// Kind is the software that a configuration belongs to.
type Kind string

// The kinds of configuration that Read knows.
const (
	OpenDKIM Kind = "opendkim"
	Rspamd   Kind = "rspamd"
	KeyFiles Kind = "keys"
)

// Options says how a configuration is to be read.
type Options struct {
	// Kind of the configuration; empty: found out from the path.
	Kind Kind
	// Root stands before absolute paths in a configuration, for one that was
	// copied out of a container. No link leads out of it.
	Root string
	// SigningTable belongs to a KeyTable given as the path: a file, or as
	// OpenDKIM writes it, such as refile:/etc/opendkim/SigningTable.
	SigningTable string
	// Selectors of key files named after their domain alone.
	Selectors keystore.Selectors
}

// Plan is what a configuration amounts to for signpostd.
type Plan struct {
	Path string
	Kind Kind
	What string // what the path turned out to be

	Keys     []Key // in order of domain; those that sign before the others
	Settings []Setting
	// Findings say what cannot be carried over, or not as it stands. Name is
	// the file and line. A fault or a warning is a loss; a note is none.
	Findings []finding.Finding

	byDomain map[string][]*Key // while it is made
}

// Key is a private key with what the configuration uses it for.
type Key struct {
	keystore.Key        // File is where it was read, or the table it stands in
	Data         []byte // the content of its file, or the key put into PEM where signpostd could not read that
	Signs        bool   // mail from the domain is signed with it
	Named        Place  // where the configuration names it; zero for a file found by its name
}

// Setting is something for the environment of signpostd.
type Setting struct {
	Variable, Value string
	From            string // what it stands for in the configuration
	Why             string
}

// Place is a line of a file; Line is 0 for the whole of it.
type Place struct {
	File string
	Line int
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// reader gathers a plan.
type reader struct {
	files
	options Options
	plan    *Plan
	said    map[finding.Finding]bool
}

// report adds a finding, once.
func (r *reader) report(level finding.Level, code string, at Place, what, effect, fix string) {
	f := finding.Finding{Level: level, Code: code, Name: at.String(), What: what, Effect: effect, Fix: fix}
	if r.said == nil {
		r.said = make(map[finding.Finding]bool)
	}
	if !r.said[f] {
		r.said[f] = true
		r.plan.Findings = append(r.plan.Findings, f)
	}
}

// fault reports an error, with its hint as what to do.
func (r *reader) fault(code string, at Place, err error, effect string) {
	what, fix := finding.Split(err)
	r.report(finding.Fault, code, at, what, effect, fix)
}

func (r *reader) note(code string, at Place, format string, args ...any) {
	r.report(finding.Note, code, at, fmt.Sprintf(format, args...), "", "")
}

// set adds a setting; the last one of a variable holds.
func (r *reader) set(variable, value, from, why string) {
	r.plan.Settings = slices.DeleteFunc(r.plan.Settings, func(s Setting) bool { return s.Variable == variable })
	r.plan.Settings = append(r.plan.Settings, Setting{variable, value, from, why})
}

// Setting returns the value of a setting, "" for none.
func (p *Plan) Setting(variable string) string {
	for _, s := range p.Settings {
		if s.Variable == variable {
			return s.Value
		}
	}
	return ""
}

// of returns the keys of a domain while the plan is made.
func (p *Plan) of(domain string) []*Key { return p.byDomain[domain] }

// signing returns the key that signs for a domain, or nil.
func (p *Plan) signing(domain string) *Key {
	for _, key := range p.of(domain) {
		if key.Signs {
			return key
		}
	}
	return nil
}

// Domains returns the domains whose mail is signed, in order.
func (p *Plan) Domains() []string {
	domains := make(map[string]bool)
	for _, key := range p.Keys {
		if key.Signs {
			domains[key.Domain] = true
		}
	}
	return slices.Sorted(maps.Keys(domains))
}
