package delivery

import (
	"bytes"
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// lines looks for lines that are too long.
func (m Mail) lines(path Path) []finding.Finding {
	limit, who := path.LineLimit, fmt.Sprintf("Postfix breaks lines of more than %d when it "+
		"delivers, after signing (smtp_line_length_limit)", path.LineLimit)
	level, effect := finding.Fault, "the signature breaks"
	if limit == 0 {
		// RFC 5321, section 4.5.3.1.6: 1000 octets with CRLF.
		limit, who = 998, "Postfix sends lines whole (smtp_line_length_limit = 0), and SMTP "+
			"allows 998 (RFC 5321 section 4.5.3.1.6)"
		level, effect = finding.Warning, "another server on the way may break or refuse it"
	}
	if len(m.Signed) == 0 {
		level, effect = finding.Warning, "the message arrives changed"
	}
	const fix = "send the text as quoted-printable or base64, or with shorter lines"
	var findings []finding.Finding
	for _, f := range m.Header {
		n := len(f.Name) + 1
		for line := range strings.Lines(f.Value) {
			n += len(strings.TrimRight(line, "\r\n"))
			if n > limit {
				level, effect := level, effect
				if len(m.Signed) > 0 && !m.signs(f.Name) {
					level, effect = finding.Note, "the field is not signed, so the signature is not affected"
				}
				findings = append(findings, finding.Finding{Code: "path-line-length", Level: level, Name: f.Name,
					What: fmt.Sprintf("a line of the field of line %d has %d bytes; %s", f.Line, n, who), Effect: effect,
					Fix: "fold the field at white space"})
			}
			n = 0
		}
	}
	var long []int
	longest := 0
	number := m.BodyLine
	for line := range bytes.Lines(m.Body) {
		if n := len(bytes.TrimRight(line, "\r\n")); n > limit {
			long, longest = append(long, number), max(longest, n)
		}
		number++
	}
	switch {
	case len(long) == 1:
		findings = append(findings, finding.Finding{Code: "path-line-length", Level: level, Name: "body",
			What: fmt.Sprintf("line %d has %d bytes; %s", long[0], longest, who), Effect: effect, Fix: fix})
	case len(long) > 1:
		findings = append(findings, finding.Finding{Code: "path-line-length", Level: level, Name: "body",
			What: fmt.Sprintf("lines %s have up to %d bytes; %s", numbers(long), longest, who), Effect: effect, Fix: fix})
	}
	return findings
}

// numbers writes line numbers, the first few of many.
func numbers(lines []int) string {
	const most = 8
	var words []string
	for _, n := range lines[:min(most, len(lines))] {
		words = append(words, fmt.Sprint(n))
	}
	text := strings.Join(words, ", ")
	if len(lines) > most {
		text += fmt.Sprintf(" and %d more", len(lines)-most)
	}
	return text
}
