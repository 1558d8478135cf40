package check

import (
	"errors"
	"fmt"
	"slices"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// section collects what one part of the check finds.
type section struct {
	good     []Good
	findings []finding.Finding
}

func (s *section) ok(name, format string, args ...any) {
	s.good = append(s.good, Good{name, fmt.Sprintf(format, args...)})
}

func (s *section) add(level finding.Level, code, name, what, effect, fix string) {
	s.findings = append(s.findings, finding.Finding{Code: code, Level: level, Name: name, What: what,
		Effect: effect, Fix: fix})
}

// addRecord is add for what is cured by publishing a record, or nil.
func (s *section) addRecord(level finding.Level, code, name, what, effect, fix string, publish *finding.Record) {
	s.add(level, code, name, what, effect, fix)
	s.findings[len(s.findings)-1].Publish = publish
}

func (s *section) has(code string) bool {
	return slices.ContainsFunc(s.findings, func(f finding.Finding) bool { return f.Code == code })
}

// failed says that a lookup gave no answer, which is never "not published".
// Only CNAMEs in a circle are a fault for certain.
func (s *section) failed(name string, err error, effect string) {
	code, level := "dns-failed", finding.Unknown
	fix := "try again; ask the name servers themselves with --authoritative, or another resolver with --resolver"
	var lookup *dns.LookupError
	if errors.As(err, &lookup) {
		code = "dns-" + string(lookup.Kind)
		switch lookup.Kind {
		case dns.Loop:
			level, fix = finding.Fault, "make the CNAME at "+lookup.Name+" lead to a name that holds the record, "+
				"or publish the record there itself"
		case dns.Truncated:
			fix = "let TCP through to port 53 of the server: receivers need it too for records of this size"
		}
	}
	s.add(level, code, name, err.Error(), effect, fix)
}
