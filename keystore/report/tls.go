package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// TLSReport is what is said of a TLS report (RFC 8460): that it is there. Text is as in Report.
type TLSReport struct {
	Reporter string // organization-name
	ID       string
	Begin    time.Time // zero where not given
	End      time.Time
	Domains  []string // whose policies it tells of, each once
	Sessions int      // that succeeded or failed
	Failures int      // of them
}

// maxPolicies bounds how many policies of a TLS report are read.
const maxPolicies = 1000

// ParseTLS reads a TLS report. The caller bounds its size.
func ParseTLS(r io.Reader) (*TLSReport, error) {
	var parsed struct {
		Organization string `json:"organization-name"`
		ID           string `json:"report-id"`
		Range        struct {
			Begin string `json:"start-datetime"`
			End   string `json:"end-datetime"`
		} `json:"date-range"`
		Policies []struct {
			Policy struct {
				Domain string `json:"policy-domain"`
			} `json:"policy"`
			Summary struct {
				Succeeded json.Number `json:"total-successful-session-count"`
				Failed    json.Number `json:"total-failure-session-count"`
			} `json:"summary"`
		} `json:"policies"`
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading a TLS report: %w", err)
	}
	if err := json.Unmarshal(plain(text), &parsed); err != nil {
		return nil, fmt.Errorf("not a TLS report: %w", err)
	}
	words := newWords()
	report := &TLSReport{Reporter: words.text([]byte(parsed.Organization)), ID: words.text([]byte(parsed.ID))}
	if report.Reporter == "" && report.ID == "" {
		return nil, errors.New("not a TLS report: no organization-name and no report-id")
	}
	report.Begin, _ = isoTime(parsed.Range.Begin)
	report.End, _ = isoTime(parsed.Range.End)
	if len(parsed.Policies) > maxPolicies {
		return nil, fmt.Errorf("TLS report with %d policies: %d is the most", len(parsed.Policies), maxPolicies)
	}
	seen := make(map[string]bool)
	for _, p := range parsed.Policies {
		failed := sessions(p.Summary.Failed)
		report.Failures += failed
		report.Sessions += failed + sessions(p.Summary.Succeeded)
		if domain := words.domain([]byte(p.Policy.Domain)); domain != "" && !seen[domain] {
			seen[domain] = true
			report.Domains = append(report.Domains, domain)
		}
	}
	return report, nil
}

// sessions reads a number of sessions. It is 0 where none is given.
func sessions(n json.Number) int {
	if n == "" {
		return 0
	}
	v, _ := count(n.String())
	return max(v, 0)
}
