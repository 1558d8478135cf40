package message

import (
	"bytes"
	"io"

	"signpost/keystore/finding"
)

// Text is a message as a program hands it to Postfix, in memory.
type Text struct {
	Fields []Field
	Body   []byte // lines end in CRLF, or in a bare LF among those
	// BodyLine is the line of the file that the body begins at.
	BodyLine int
	// Wire is the whole message as it is sent by SMTP, before dots are doubled.
	Wire     []byte
	Findings []finding.Finding // about the file
}

// ReadText reads one message. Line ends may be LF throughout. The header ends
// where it ends for Postfix, also without an empty line.
func ReadText(r io.Reader) (*Text, error) {
	m := &Reader{Lenient: true, Long: true}
	if err := m.ReadHeader(r); err != nil {
		return nil, err
	}
	t := &Text{Fields: m.Fields, BodyLine: m.Line + 1, Findings: m.Notes}
	var wire bytes.Buffer
	for _, f := range t.Fields {
		wire.WriteString(f.Name + ":" + f.Value + "\r\n")
	}
	if m.blank {
		wire.WriteString("\r\n")
	}
	start := wire.Len()
	err := m.ReadBody(func(piece []byte, _ bool) { wire.Write(piece) })
	t.Wire = wire.Bytes()
	t.Body = t.Wire[start:]
	return t, err
}
