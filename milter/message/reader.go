// Package message reads a message from a file: its header, field by field, and its
// body. It is the one reader for all that judges, explains or searches messages.
package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
)

// Reader reads a message: the header, then the body.
type Reader struct {
	Fields []Field
	Notes  []finding.Finding // about the file
	// Sender is the address in the "From " line of an mbox: the envelope sender.
	Sender string
	Line   int  // read so far
	BareLF bool // a line of the header ends in LF alone

	// Lenient takes what Postfix would take, too: text in the header ends the
	// header. Otherwise anything that mail servers do not pass on is an error.
	Lenient bool
	// Long takes a header of any length.
	Long bool

	in    *bufio.Reader
	value []byte // of the last field, to which lines may be added
	raw   []byte // the last line of the header, with its end
	blank bool   // an empty line ends the header
	mbox  bool
}

// Field is a header field and the line it begins on.
type Field struct {
	dkim.Field
	Line int
}

// Is reports whether the field has the name, which is in lower case. White space
// may stand before the colon (RFC 5322, section 4.5).
func (f Field) Is(name string) bool {
	return strings.EqualFold(strings.TrimRight(f.Name, " \t"), name)
}

// Named returns the fields that have the name, which is in lower case.
func Named(fields []Field, name string) (named []Field) {
	for _, f := range fields {
		if f.Is(name) {
			named = append(named, f)
		}
	}
	return named
}

// MaxHeader bounds what is held in memory. Mail servers take far less.
const MaxHeader = 1 << 20

const saveWhole = "save the message with its whole header, as \"show original\" or \"raw message\""

// Note adds a finding about the file.
func (m *Reader) Note(code string, level finding.Level, name, what, effect string) {
	m.Notes = append(m.Notes, finding.Finding{Code: code, Level: level, Name: name, What: what, Effect: effect})
}

// ReadHeader reads the header and the empty line after it. An error names the
// line.
func (m *Reader) ReadHeader(r io.Reader) error {
	m.in = bufio.NewReaderSize(r, 64<<10)
	if err := m.checkStart(); err != nil {
		return err
	}
	defer m.endField()
	for size := 0; ; {
		line, err := m.headerLine(MaxHeader - size)
		if err != nil {
			return err
		}
		size += len(line) + 2
		switch {
		case line == nil && len(m.Fields) == 0:
			return errors.New("there is no header, only the \"From \" line of an mbox")
		case line == nil:
			m.Note("path-header-only", finding.Note, "body",
				fmt.Sprintf("the file ends at line %d, within the header, without an empty line", m.Line),
				"the message has no body, which is allowed")
			return nil
		case len(line) == 0 && len(m.Fields) == 0 && !m.Lenient:
			return finding.WithHint(fmt.Errorf("line %d is empty, so there is no header", m.Line),
				"the header comes first, without an empty line before it")
		case len(line) == 0:
			m.blank = true
			return nil
		}
		if more, err := m.addLine(line); err != nil || !more {
			return err
		}
	}
}

// checkStart refuses files of other formats, and skips what some programs put
// before a message.
func (m *Reader) checkStart() error {
	start, err := m.in.Peek(8)
	if len(start) == 0 {
		if err != io.EOF {
			return err
		}
		return finding.WithHint(errors.New("it is empty"), saveWhole)
	}
	for magic, kind := range map[string]string{
		"\x1f\x8b": "gzip data", "PK\x03\x04": "a zip archive", "BZh": "bzip2 data",
		"\xfd7zXZ": "xz data", "\x28\xb5\x2f\xfd": "zstd data",
	} {
		if bytes.HasPrefix(start, []byte(magic)) {
			return finding.WithHint(fmt.Errorf("it is %s, not a message", kind), "unpack it first")
		}
	}
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
		return finding.WithHint(errors.New("it is UTF-16 text, not a message"),
			"save the message as it is, not as text")
	}
	if bytes.HasPrefix(start, []byte("\xef\xbb\xbf")) {
		m.in.Discard(3)
		m.Note("path-byte-order-mark", finding.Note, "line 1",
			"a byte order mark, which an editor wrote, is before the header; it was left out", "")
		start, _ = m.in.Peek(8)
	}
	if bytes.HasPrefix(start, []byte("From ")) {
		m.mbox = true
		line, err := m.headerLine(MaxHeader)
		if err != nil {
			return err
		}
		if fields := strings.Fields(string(line)); len(fields) > 1 && strings.Contains(fields[1], "@") {
			m.Sender = fields[1]
		}
		m.Note("path-mbox-line", finding.Note, "line 1",
			fmt.Sprintf("%.60q is the separator of an mbox, not part of the message; it was left out", line), "")
	}
	return nil
}

// headerLine returns a line without its end, and nil at the end of the file.
func (m *Reader) headerLine(most int) ([]byte, error) {
	line := []byte{}
	for {
		piece, err := m.in.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > most && !m.Long {
			return nil, finding.WithHint(fmt.Errorf("line %d: the header is longer than %d bytes", m.Line+1, MaxHeader),
				"mail servers refuse such a message; is it one?")
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if len(line) == 0 {
			return nil, nil
		}
		break
	}
	m.Line++
	m.raw = line
	if bytes.IndexByte(line, 0) >= 0 && !m.Lenient {
		return nil, finding.WithHint(fmt.Errorf("line %d: a NUL byte in the header", m.Line),
			"mail servers do not pass it on, so this is not the message as it was sent")
	}
	text, found := bytes.CutSuffix(line, []byte("\n"))
	text, crlf := bytes.CutSuffix(text, []byte("\r"))
	m.BareLF = m.BareLF || found && !crlf
	return text, nil
}

// addLine adds a line to the header, or reports that the header has ended.
func (m *Reader) addLine(line []byte) (more bool, err error) {
	if (line[0] == ' ' || line[0] == '\t') && len(m.Fields) > 0 {
		m.value = append(append(m.value, "\r\n"...), line...)
		return true, nil
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	switch {
	case found && isFieldName(bytes.TrimRight(name, " \t")):
	case len(m.Fields) == 0:
		return false, finding.WithHint(fmt.Errorf("line %d is not a header field, so this is not a message: %s",
			m.Line, Quote(string(line))),
			saveWhole)
	case m.Lenient:
		m.Note("path-header-end", finding.Warning, fmt.Sprintf("line %d", m.Line),
			fmt.Sprintf("%.60q is not a header field, and no empty line comes before it", line),
			"Postfix treats it as the first line of the body")
		m.in = bufio.NewReader(io.MultiReader(bytes.NewReader(m.raw), m.in))
		m.Line--
		return false, nil
	default:
		return false, finding.WithHint(
			fmt.Errorf("line %d is neither a header field nor the empty line that ends the header: %s", m.Line,
				Quote(string(line))),
			"put an empty line between header and body")
	}
	m.endField()
	m.Fields = append(m.Fields, Field{dkim.Field{Name: string(name)}, m.Line})
	m.value = append(m.value[:0], value...)
	return true, nil
}

// endField sets the value of the last field when it is whole: adding each line
// to a string would take minutes with very many of them.
func (m *Reader) endField() {
	if len(m.Fields) > 0 {
		m.Fields[len(m.Fields)-1].Value = string(m.value)
	}
}

// isFieldName follows RFC 5322, section 3.6.8.
func isFieldName(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}

// Quote shows text from a message, or the start of it.
func Quote(text string) string {
	if len(text) > 40 {
		return fmt.Sprintf("%q...", text[:40])
	}
	return fmt.Sprintf("%q", text)
}

// Body returns the body as it is in the file, in place of ReadBody.
func (m *Reader) Body() io.Reader { return m.in }

// ReadBody passes the body on in pieces with CRLF line ends, and says after
// each whether a line ended with it.
func (m *Reader) ReadBody(write func(piece []byte, lineEnd bool)) error {
	start, afterCR, afterBlank := true, false, true
	nul, bare := false, false
	for {
		piece, err := m.in.ReadSlice('\n')
		if err == io.EOF && len(piece) == 0 {
			return nil
		}
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		if start && m.mbox && afterBlank && bytes.HasPrefix(piece, []byte("From ")) {
			if m.Lenient {
				return finding.WithHint(errors.New("it is an mbox with more than one message"), "give one message")
			}
			m.Note("path-mbox-line", finding.Note, fmt.Sprintf("line %d", m.Line+1),
				"another message begins in this mbox; it was left out", "")
			return nil
		}
		if start {
			m.Line++
		}
		if !nul && bytes.IndexByte(piece, 0) >= 0 {
			nul = true
			m.Note("path-nul", finding.Note, fmt.Sprintf("line %d", m.Line),
				"a NUL byte, which mail servers remove or refuse", "")
		}
		ended := piece[len(piece)-1] == '\n'
		if !bare && !m.BareLF && hasBare(piece, afterCR, ended) {
			bare = true
			m.Note("path-bare", finding.Note, fmt.Sprintf("line %d", m.Line),
				"a CR or LF by itself, which mail servers change or refuse, and verifiers read in different ways", "")
		}
		crlf := ended && (len(piece) > 1 && piece[len(piece)-2] == '\r' || len(piece) == 1 && afterCR)
		if ended && !crlf && m.BareLF {
			if len(piece) > 1 {
				write(piece[:len(piece)-1], false)
			}
			write([]byte("\r\n"), true)
		} else {
			write(piece, ended)
		}
		if ended {
			afterBlank = start && len(bytes.TrimRight(piece, "\r\n")) == 0
		}
		start, afterCR = ended, piece[len(piece)-1] == '\r'
	}
}

// hasBare reports whether a piece has a CR without an LF, or ends in an LF
// without a CR. A CR at its end may belong to the next one.
func hasBare(piece []byte, afterCR, ended bool) bool {
	text, crlf := bytes.CutSuffix(piece, []byte("\r\n"))
	if ended && !crlf && !(len(piece) == 1 && afterCR) {
		return true
	}
	if !ended && len(text) > 0 && text[len(text)-1] == '\r' {
		text = text[:len(text)-1]
	}
	return bytes.IndexByte(text, '\r') >= 0
}
