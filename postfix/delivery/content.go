package delivery

import (
	"bytes"
	"fmt"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// controls looks for octets that must not be in a message (RFC 5322, section
// 2.2 and 2.3).
func (m Mail) controls() []finding.Finding {
	var cr, lf, nul []int
	number := m.BodyLine
	for line := range bytes.Lines(m.Body) {
		text, whole := bytes.CutSuffix(line, []byte("\r\n"))
		if !whole && bytes.HasSuffix(line, []byte("\n")) {
			lf = append(lf, number)
		}
		if bytes.IndexByte(text, '\r') >= 0 {
			cr = append(cr, number)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			nul = append(nul, number)
		}
		number++
	}
	for _, f := range m.Header {
		value := strings.ReplaceAll(f.Value, "\r\n", "\n")
		if strings.Contains(value, "\r") {
			cr = append([]int{f.Line}, cr...)
		}
		if strings.Contains(value, "\x00") {
			nul = append([]int{f.Line}, nul...)
		}
	}
	var findings []finding.Finding
	found := func(code, what, effect string, lines []int) {
		if len(lines) > 0 {
			findings = append(findings, finding.Finding{Code: code, Level: finding.Warning, Name: "line " + numbers(lines),
				What: what, Effect: effect, Fix: "correct the program that writes the message"})
		}
	}
	found("path-bare-cr", "there is a carriage return without a line feed",
		"Postfix makes it a space before the milter sees it; an older one or another server may "+
			"change it after signing", cr)
	found("path-bare-lf", "there is a line feed without a carriage return, among lines that have both",
		"Postfix takes it for a line end, before the milter sees it, or refuses it "+
			"(smtpd_forbid_bare_newline = reject)", lf)
	found("path-nul", "there is a NUL",
		"in a header field Postfix cuts the value there before signing; in the body it stays, "+
			"and another server may take it out, which breaks the signature", nul)
	return findings
}

// eightBit looks for content that is converted on its way to a server that takes
// 7 bits only.
func (m Mail) eightBit(c *postfix.Config, path Path) []finding.Finding {
	var findings []finding.Finding
	if f, ok := m.eightBitField(); ok {
		findings = append(findings, finding.Finding{Code: "path-8bit-header", Level: finding.Warning, Name: f.Name,
			What: fmt.Sprintf("the field of line %d is not ASCII, which only SMTPUTF8 allows "+
				"(RFC 6532)", f.Line),
			Effect: "Postfix sends it as it is, or returns mail of sendmail(1) when the next hop " +
				"does not offer SMTPUTF8; another server may refuse or change it",
			Fix: "encode it as =?utf-8?q?...?= (RFC 2047)"})
	}
	where, declared := m.declares8Bit()
	if declared == "" {
		if number := m.eightBitLine(); number > 0 {
			findings = append(findings, finding.Finding{Code: "path-8bit-undeclared", Level: finding.Warning, Name: "body",
				What:   fmt.Sprintf("line %d is not ASCII, and no Content-Transfer-Encoding says so", number),
				Effect: "Postfix sends it as it is; another server may change it, which breaks the signature",
				Fix:    "encode it as quoted-printable or base64"})
		}
		return findings
	}
	f := finding.Finding{Code: "path-8bit", Name: where,
		Fix: "encode the text as quoted-printable or base64, or set disable_mime_output_conversion = yes"}
	switch {
	case !path.Converts:
		f.Level, f.What = finding.Note, "the content is "+declared+", and goes out as it is to "+
			"any server (disable_mime_output_conversion = yes)"
		f.Effect, f.Fix = "a server without 8BITMIME may refuse or change it", "encode the text as quoted-printable or base64"
	case m.SevenBit:
		f.Level, f.What = finding.Fault, "the content is "+declared+", and Postfix converts it "+
			"for a server without 8BITMIME, after signing (disable_mime_output_conversion = no)"
		f.Effect = "the signature breaks"
	case path.Hides8BitMIME && postfix.HasWord(c.Value("smtp_discard_ehlo_keywords"), "smtputf8"):
		f.Level, f.What = finding.Fault, "the content is "+declared+", and Postfix converts it "+
			"after signing, for it takes no server to offer 8BITMIME (smtp_discard_ehlo_keywords)"
		f.Effect, f.Fix = "the signature breaks", "take 8bitmime out of "+
			"smtp_discard_ehlo_keywords, or set disable_mime_output_conversion = yes"
	case path.Hides8BitMIME:
		// Who offers SMTPUTF8 takes 8 bits too, and Postfix relies on that.
		f.Level, f.What = finding.Warning, "the content is "+declared+", and Postfix converts it "+
			"after signing for servers that do not offer SMTPUTF8 (8bitmime is in smtp_discard_ehlo_keywords)"
		f.Effect, f.Fix = "there the signature breaks", "take 8bitmime out of "+
			"smtp_discard_ehlo_keywords, or set disable_mime_output_conversion = yes"
	default:
		f.Level, f.What = finding.Note, "the content is "+declared+", and Postfix would convert "+
			"it for a server that does not offer 8BITMIME, after signing"
		f.Effect = "the signature would break; servers without 8BITMIME are rare, see --seven-bit"
	}
	return append(findings, f)
}

func (m Mail) eightBitField() (Field, bool) {
	for _, f := range m.Header {
		if m.signs(f.Name) && strings.ContainsFunc(f.Value, func(r rune) bool { return r > 0x7e }) {
			return f, true
		}
	}
	return Field{}, false
}

// eightBitLine is the first line of the body that is not ASCII; 0 for none.
func (m Mail) eightBitLine() int {
	number := m.BodyLine
	for line := range bytes.Lines(m.Body) {
		if bytes.ContainsFunc(line, func(r rune) bool { return r > 0x7f }) {
			return number
		}
		number++
	}
	return 0
}
