package main

import (
	"bytes"
	"fmt"
	"strings"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
	"signpost/postfix"
)

// letter is a message as it stands in a file.
type letter struct {
	mail     postfix.Mail
	findings []finding.Finding // about the file, not about its fate
}

// parseLetter reads a message. Lines may end in LF throughout, which stands for
// CRLF. The header ends where Postfix would let it end.
func parseLetter(data []byte) (*letter, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("it is empty, not a message")
	}
	l := new(letter)
	if !bytes.Contains(data, []byte("\r\n")) {
		data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
	}
	number := 1
	if bytes.HasPrefix(data, []byte("From ")) {
		var first []byte
		first, data = cutLine(data)
		number++
		if bytes.Contains(data, []byte("\r\n\r\nFrom ")) {
			return nil, fmt.Errorf("it is a mailbox with more than one message; hint: give one message")
		}
		l.note("path-mbox-line", finding.Note, "line 1", fmt.Sprintf("%q is the separator of a mailbox and no part of the message; it is left out", first), "")
	}
	var value []byte // of the last field, to which lines may be added
	endField := func() {
		if n := len(l.mail.Header); n > 0 {
			l.mail.Header[n-1].Value = string(value)
		}
	}
	defer endField()
	for len(data) > 0 {
		line, rest := cutLine(data)
		fields := l.mail.Header
		switch name, first, found := strings.Cut(string(line), ":"); {
		case len(line) == 0:
			l.mail.Body, l.mail.BodyLine = rest, number+1
			return l, nil
		case (line[0] == ' ' || line[0] == '\t') && len(fields) > 0:
			value = append(append(value, "\r\n"...), line...)
		case found && isFieldName(name):
			endField()
			l.mail.Header = append(fields, postfix.MailField{Name: name, Line: number})
			value = append(value[:0], first...)
		case len(fields) == 0:
			return nil, fmt.Errorf("line %d is no header field, so it is not a message: %.40q; hint: a message begins with fields such as From: and an empty line ends them", number, line)
		default:
			l.note("path-header-end", finding.Warning, fmt.Sprintf("line %d", number), fmt.Sprintf("%.60q is no header field, and no empty line comes before it", line),
				"Postfix takes it for the first line of the body, with what follows")
			l.mail.Body, l.mail.BodyLine = data, number
			return l, nil
		}
		data = rest
		number++
	}
	l.mail.BodyLine = number
	l.note("path-header-only", finding.Note, "body", "the message ends with its header, without an empty line", "that is allowed: it has no body")
	return l, nil
}

func (l *letter) note(code string, level finding.Level, name, what, effect string) {
	l.findings = append(l.findings, finding.Finding{Code: code, Level: level, Name: name, What: what, Effect: effect})
}

// cutLine cuts off a line that ends in CRLF or in a bare LF.
func cutLine(data []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(data, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// isFieldName applies RFC 5322, section 3.6.8, and lets white space stand before
// the colon as section 4.5 does and Postfix too.
func isFieldName(name string) bool {
	name = strings.TrimRight(name, " \t")
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r < 33 || r > 126 })
}

// header is what the MTA hands to the milter.
func (l *letter) header() []dkim.Field {
	var fields []dkim.Field
	for _, f := range l.mail.Header {
		fields = append(fields, dkim.Field{Name: f.Name, Value: f.Value})
	}
	return fields
}

// body is what the MTA hands to the milter: a bare LF is a line end too.
func (l *letter) body() []byte {
	plain := bytes.ReplaceAll(l.mail.Body, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n"))
}
