package delivery

import (
	"bytes"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/milter/longline"
	"signpost/postfix"
)

const (
	encodeBody = "send the text as quoted-printable or base64, or with shorter lines"
	foldField  = "fold the field at white space"
)

// lines looks for lines that are too long.
func (m Mail) lines(c *postfix.Config, path Path) []finding.Finding {
	limit, who := path.LineLimit, fmt.Sprintf("Postfix breaks lines of more than %d when it "+
		"delivers, after signing (smtp_line_length_limit)", path.LineLimit)
	level, effect := finding.Fault, "the signature breaks"
	if limit == 0 {
		limit, who = longline.Limit, "Postfix sends lines whole (smtp_line_length_limit = 0), and SMTP "+
			"allows 998 (RFC 5321 section 4.5.3.1.6)"
		level, effect = finding.Warning, "another server on the way may break or refuse it"
	}
	if len(m.Signed) == 0 {
		level, effect = finding.Warning, "the message arrives changed"
	}
	var findings []finding.Finding
	rule := longline.Rule{Limit: limit, Relaxed: m.RelaxedHeader}
	for _, f := range m.Header {
		longest, breaks := rule.Field(f.Name, f.Value)
		if longest == 0 {
			continue
		}
		level, effect := level, effect
		switch {
		case level == finding.Warning:
		case !m.signs(f.Name):
			level, effect = finding.Note, "the field is not signed, so the signature is not affected"
		case !breaks:
			level, effect = finding.Note, "it is broken beside white space, which a relaxed signature survives"
		case mayRewrite(c, f):
			level, effect = finding.Warning, "the signature breaks, unless Postfix rewrites the addresses: "+
				"then it folds the field before the milter sees it"
		}
		findings = append(findings, finding.Finding{Code: "path-line-length", Level: level, Name: f.Name,
			What: fmt.Sprintf("a line of the field of line %d has %d bytes; %s", f.Line, longest, who), Effect: effect,
			Fix: foldField})
	}
	for _, value := range m.Signatures {
		// Breaking lines of b= is harmless (RFC 6376, section 3.7).
		before := value[:max(0, strings.LastIndex(value, "b="))]
		if longest, breaks := rule.Field("DKIM-Signature", before); breaks {
			findings = append(findings, finding.Finding{Code: "path-line-length", Level: level, Name: "DKIM-Signature",
				What: fmt.Sprintf("a line of the signature has %d bytes; %s", longest, who), Effect: effect,
				Fix: "raise smtp_line_length_limit"})
		}
	}
	long, what := m.longLines(limit)
	last, breaks := m.breaksBody(limit)
	switch {
	case long == 0 && last > 0 && breaks && path.LineLimit > 0 && len(m.Signed) > 0:
		return append(findings, finding.Finding{Code: "path-line-length", Level: level, Name: "body",
			What: fmt.Sprintf("the last line, line %d, has %d bytes and no end; Postfix begins one more line after it when "+
				"it delivers, after signing (smtp_line_length_limit)", last, limit),
			Effect: effect, Fix: "end the last line"})
	case long == 0:
		return findings
	case level == finding.Fault && !breaks:
		level, effect = finding.Note, "only white space follows the break, which a relaxed signature survives"
	}
	return append(findings, finding.Finding{Code: "path-line-length", Level: level, Name: "body",
		What: what + "; " + who, Effect: effect, Fix: encodeBody})
}

// longLines returns the number of lines of the body over the limit, in words too.
func (m Mail) longLines(limit int) (count int, what string) {
	var long []int
	longest := 0
	number := m.BodyLine
	for line := range bytes.Lines(m.Body) {
		if n := len(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))); n > limit {
			long, longest = append(long, number), max(longest, n)
		}
		number++
	}
	if len(long) == 1 {
		return 1, fmt.Sprintf("line %d has %d bytes", long[0], longest)
	}
	return len(long), fmt.Sprintf("lines %s have up to %d bytes", numbers(long), longest)
}

// breaksBody returns the line of the body that is broken first, 0 for none, and whether
// the signature breaks with it. By SMTP the last line has an end, whatever the file has.
func (m Mail) breaksBody(limit int) (number int, breaks bool) {
	watch := longline.Body{Rule: longline.Rule{Limit: limit, Relaxed: m.RelaxedBody}}
	watch.Write(m.Body)
	if !m.Local && !bytes.HasSuffix(m.Body, []byte("\n")) {
		watch.Write([]byte("\r\n"))
	}
	line, breaks := watch.End()
	if line.Number == 0 {
		return 0, false
	}
	return m.BodyLine + line.Number - 1, breaks
}

// mayRewrite reports whether cleanup(8) may change the addresses of the field. It then
// folds the field, which happens before signing.
func mayRewrite(c *postfix.Config, f Field) bool {
	if !f.hasAddresses() {
		return false
	}
	for _, name := range []string{
		"canonical_maps", "sender_canonical_maps", "recipient_canonical_maps", "masquerade_domains",
	} {
		if c.Value(name) != "" {
			return true
		}
	}
	_, err := mail.ParseAddressList(strings.TrimSpace(f.Value))
	return err != nil // such as for want of a domain
}

// hasAddresses reports whether Postfix rewrites the addresses in the field.
func (f Field) hasAddresses() bool {
	return slices.ContainsFunc([]string{
		"From", "Sender", "Reply-To", "To", "Cc", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc",
	}, f.is)
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
