// Package lint finds what is wrong with the configuration of a Postfix whose
// mail signpostd signs: mail that bypasses the milter, changes after signing, open
// relays.
package lint

import (
	"fmt"
	"slices"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// anyMilter stands in advice where no address is known.
const anyMilter = "inet:signpostd:8891"

// A Signer is what is known of signpostd.
type Signer struct {
	// Address is where it listens, as smtpd_milters has it; empty for not known: then the
	// milter that the configuration names is assumed to be signpostd, and of those that differ
	// from one listener to the other the one for submission.
	Address string
	Fields  []string // header fields that it signs
	Also    string   // domain that signs beside that of the author, empty for none
	Instead string   // domain that signs where that of the author has no key, empty for none
	// HasKey reports whether there is a key for a domain; nil where the keys are not known.
	HasKey func(domain string) bool
	// Subdomains lets the key of a domain sign for what is below it.
	Subdomains bool
}

// Check returns the findings, the gravest first, then in the order of a message's
// way: what is read, who gets in, the milter, what comes after it.
func Check(config *postfix.Config, signer Signer) []finding.Finding {
	l := &linter{config: config, Signer: signer, signpostd: signer.Address}
	if l.signpostd == "" {
		l.signpostd = l.splitSigner()
	}
	for _, rule := range []func(){
		l.reading, l.names,
		l.openRelay, l.networks, l.submission, l.smuggling,
		l.milterSet, l.milterListeners, l.split, l.milterList, l.verifiers, l.misplaced,
		l.milterAway, l.milterProtocol, l.milterChanges,
		l.sockets, l.mappings, l.bounces,
		l.filter, l.signedAgain, l.rewriting, l.relay, l.lines, l.conversion,
	} {
		rule()
	}
	order := []finding.Level{finding.Fault, finding.Unknown, finding.Warning, finding.Note}
	slices.SortStableFunc(l.findings, func(a, b finding.Finding) int {
		return slices.Index(order, a.Level) - slices.Index(order, b.Level)
	})
	return l.findings
}

type linter struct {
	config *postfix.Config
	Signer
	signpostd string // its address, or empty
	findings  []finding.Finding
}

// add adds a finding unless the same has been said.
func (l *linter) add(f finding.Finding) {
	for _, old := range l.findings {
		if old == f {
			return
		}
	}
	l.findings = append(l.findings, f)
}

// listeners are the smtpd services that mail comes in by. Without master.cf
// there is one, as main.cf has it.
func (l *linter) listeners() []postfix.Service {
	if l.config.Services == nil {
		return []postfix.Service{mainService()}
	}
	return l.config.Commands("smtpd")
}

// mainService stands for all services where there is no master.cf.
func mainService() postfix.Service {
	return postfix.Service{Name: "smtp", Type: "inet", Command: "smtpd"}
}

// place says where the value that a service goes by was written.
func (l *linter) place(s postfix.Service, name string) string {
	for _, o := range s.Options {
		if o.Name == name {
			return fmt.Sprintf("-o %s of %s in master.cf, line %d", name, s, s.Line)
		}
	}
	if line := l.config.Line(name); line > 0 {
		return fmt.Sprintf("%s, line %d", name, line)
	}
	return name
}

// inMaster is the advice to change an option of a service.
func inMaster(s postfix.Service, option string) string {
	return fmt.Sprintf("in master.cf, under %s %s, write -o %s", s.Name, s.Type, option)
}

// fix is the advice to set a parameter for a service: in main.cf, or where
// master.cf overrides it.
func (l *linter) fix(s postfix.Service, name, value string) string {
	for _, o := range s.Options {
		if o.Name == name {
			return fmt.Sprintf("in master.cf, line %d, under %s: -o { %s = %s }", s.Line, s, name, value)
		}
	}
	return name + " = " + value
}
