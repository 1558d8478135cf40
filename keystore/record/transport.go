package record

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"signpost/keystore/finding"
)

// TLSRPT says where reports on TLS go (RFC 8460, section 3).
type TLSRPT struct {
	Reports []string // rua=, URIs such as mailto:tls@example.org
}

// STS says that the domain has an MTA-STS policy (RFC 8461, section 3.1).
type STS struct {
	ID string // of the policy's version
}

// String returns the record as one line of text.
func (r TLSRPT) String() string { return "v=TLSRPTv1; rua=" + strings.Join(r.Reports, ",") }

// String returns the record as one line of text.
func (r STS) String() string { return "v=STSv1; id=" + r.ID + ";" }

// Errors of texts that are no such record at all, so that readers go on as if they
// were not there.
var (
	ErrNotTLSRPT = errors.New("it does not begin with v=TLSRPTv1;")
	ErrNotSTS    = errors.New("it does not begin with v=STSv1;")
)

// ParseTLSRPT reads a record for reports on TLS. One that cannot be read, or names no
// address, counts as none.
func ParseTLSRPT(text string) (TLSRPT, error) {
	var r TLSRPT
	fields, err := transportFields(text, "v=TLSRPTv1", ErrNotTLSRPT)
	if err != nil {
		return r, err
	}
	for _, t := range fields {
		if t.Name != "rua" || r.Reports != nil {
			continue
		}
		for uri := range strings.SplitSeq(t.Value, ",") {
			uri = strings.Trim(uri, whiteSpace)
			if err := checkTLSReportURI(uri); err != nil {
				what, _ := finding.Split(err)
				return TLSRPT{}, fmt.Errorf("rua=%s: %s", quote(uri), what)
			}
			r.Reports = append(r.Reports, uri)
		}
	}
	if r.Reports == nil {
		return r, errors.New("it has no rua=, so it names nobody who gets reports")
	}
	return r, nil
}

func checkTLSReportURI(uri string) error {
	if err := CheckReportURI(uri); err != nil {
		return err
	}
	parsed, err := url.Parse(uri)
	if err != nil {
		return errors.New("not a URI")
	}
	switch strings.ToLower(parsed.Scheme) {
	case "mailto":
		return nil
	case "https":
		if parsed.Hostname() != "" {
			return nil
		}
		return errors.New("it names no host")
	}
	return errors.New("it is neither a mailto: nor an https: address")
}

// ParseSTS reads the record of an MTA-STS policy. One that cannot be read counts as
// none.
func ParseSTS(text string) (STS, error) {
	fields, err := transportFields(text, "v=STSv1", ErrNotSTS)
	if err != nil {
		return STS{}, err
	}
	for _, t := range fields {
		if t.Name != "id" {
			continue
		}
		if len(t.Value) == 0 || len(t.Value) > 32 ||
			strings.ContainsFunc(t.Value, func(c rune) bool { return c > 'z' || !isAlpha(byte(c)) && !isDigit(byte(c)) }) {
			return STS{}, fmt.Errorf("id=%s is not 1 to 32 letters and digits", quote(t.Value))
		}
		return STS{t.Value}, nil
	}
	return STS{}, errors.New("it has no id=")
}

// transportFields reads what follows the version: fields with semicolons between, and
// perhaps one at the end.
func transportFields(text, version string, not error) ([]Tag, error) {
	rest, found := strings.CutPrefix(text, version)
	if rest = strings.TrimLeft(rest, whiteSpace); !found || !strings.HasPrefix(rest, ";") {
		return nil, not
	}
	if rest = strings.Trim(rest[1:], whiteSpace); rest == "" {
		return nil, nil
	}
	fields := splitTags(rest)
	for _, t := range fields {
		if t.Name == "" || t.Value == "" {
			return nil, fmt.Errorf("%s is not name=value", quote(t.Name+t.Value))
		}
	}
	return fields, nil
}

// LintTLSRPT says what is wrong with the TXT records at name, such as
// "_smtp._tls.example.org". None is no fault.
func LintTLSRPT(name string, published []TXT) []finding.Finding {
	return lintTransport(name, published, transportKind{"tlsrpt", "tlsrpt", ErrNotTLSRPT, "records for reports on TLS",
		"senders treat that as none, and send no reports on TLS", "write it as v=TLSRPTv1; rua=mailto:ADDRESS",
		func(text string) error { _, err := ParseTLSRPT(text); return err }})
}

// LintSTS says what is wrong with the TXT records at name, such as
// "_mta-sts.example.org". None is no fault.
func LintSTS(name string, published []TXT) []finding.Finding {
	return lintTransport(name, published, transportKind{"mta-sts", "sts", ErrNotSTS, "MTA-STS records",
		"senders treat that as none, and do not look for the policy",
		"write it as v=STSv1; id=20260101000000; where id changes with the policy",
		func(text string) error { _, err := ParseSTS(text); return err }})
}

// transportKind is what the linters of the two records differ in.
type transportKind struct {
	code   string // of findings: this, and -several or -invalid
	word   string // that stands in the version, whatever slipped
	not    error
	many   string
	effect string
	fix    string
	parse  func(text string) error
}

func lintTransport(name string, published []TXT, kind transportKind) []finding.Finding {
	l := &linter{name: name}
	var records []string
	for _, t := range published {
		text := t.Text()
		err := kind.parse(text)
		if errors.Is(err, kind.not) {
			// Others may stand there, from a wildcard too.
			version, _, _ := strings.Cut(text, ";")
			if strings.Contains(strings.ToLower(version), "v") && strings.Contains(strings.ToLower(version), kind.word) {
				l.add(finding.Warning, kind.code+"-invalid", quote(text)+": "+err.Error(), kind.effect, kind.fix)
			}
			continue
		}
		records = append(records, text)
		if err != nil {
			l.add(finding.Warning, kind.code+"-invalid", quote(text)+": "+err.Error(), kind.effect, kind.fix)
		}
	}
	if len(records) > 1 {
		l.add(finding.Warning, kind.code+"-several",
			fmt.Sprintf("there are %d %s: %s", len(records), kind.many, quoteStrings(records)), kind.effect, "leave one of them")
	}
	return l.findings
}
