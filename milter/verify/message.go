package verify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"signpost/milter/dkim"
)

// message is a message while it is read: the header, then the body on its way
// into the hashes.
type message struct {
	fields []field
	notes  []string // about the file
	// sender is the address in an mbox "From " line, which is the envelope's.
	sender string

	in     *bufio.Reader
	value  []byte // of the last field, to which lines may be added
	line   int    // read so far
	bareLF bool
	mbox   bool
}

// field is a header field and the line it begins on.
type field struct {
	dkim.Field
	line int
}

// maxHeader bounds what is held in memory. Mail servers take far less.
const maxHeader = 1 << 20

// readHeader reads up to and with the empty line. What is no message is an
// error that names the line.
func readHeader(r io.Reader) (*message, error) {
	m := &message{in: bufio.NewReaderSize(r, 64<<10)}
	if err := m.checkStart(); err != nil {
		return nil, err
	}
	for size := 0; ; {
		line, err := m.headerLine(maxHeader - size)
		if err != nil {
			return nil, err
		}
		size += len(line) + 2
		if line == nil {
			if len(m.fields) == 0 {
				return nil, errors.New("there is no header, only the line of an mbox")
			}
			m.notes = append(m.notes, fmt.Sprintf("the file ends at line %d, within the header: this is taken for a message without a body", m.line))
			m.endField()
			return m, nil
		}
		if len(line) == 0 {
			if len(m.fields) == 0 {
				return nil, fmt.Errorf("line %d is empty, so there is no header; hint: the header comes first, without an empty line before it", m.line)
			}
			m.endField()
			return m, nil
		}
		if err := m.addLine(line); err != nil {
			return nil, err
		}
	}
}

// checkStart looks for what is not the start of a message, and reads over
// what some programs put before one.
func (m *message) checkStart() error {
	start, err := m.in.Peek(8)
	if len(start) == 0 {
		if err != io.EOF {
			return err
		}
		return errors.New("it is empty; hint: save the message with its whole header, as \"show original\" or \"raw message\"")
	}
	for magic, kind := range map[string]string{
		"\x1f\x8b": "gzip data", "PK\x03\x04": "a zip archive", "BZh": "bzip2 data", "\xfd7zXZ": "xz data", "\x28\xb5\x2f\xfd": "zstd data",
	} {
		if bytes.HasPrefix(start, []byte(magic)) {
			return fmt.Errorf("it is %s, not a message; hint: unpack it first", kind)
		}
	}
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
		return errors.New("it is UTF-16 text, not a message; hint: save the message as it is, not as text")
	}
	if bytes.HasPrefix(start, []byte("\xef\xbb\xbf")) {
		m.in.Discard(3)
		m.notes = append(m.notes, "a byte order mark at the start was left out: an editor put it there")
		start, _ = m.in.Peek(8)
	}
	if bytes.HasPrefix(start, []byte("From ")) {
		m.mbox = true
		line, err := m.headerLine(maxHeader)
		if err != nil {
			return err
		}
		if fields := strings.Fields(string(line)); len(fields) > 1 && strings.Contains(fields[1], "@") {
			m.sender = fields[1]
		}
		m.notes = append(m.notes, "the first line, \"From ...\", was left out: it is of the mbox, not of the message")
	}
	return nil
}

// headerLine returns a line without its end, and nil at the end of the file.
func (m *message) headerLine(most int) ([]byte, error) {
	line := []byte{}
	for {
		piece, err := m.in.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > most {
			return nil, fmt.Errorf("line %d: the header is longer than %d bytes; hint: mail servers refuse such a message, and this may be none", m.line+1, maxHeader)
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
	m.line++
	if i := bytes.IndexByte(line, 0); i >= 0 {
		return nil, fmt.Errorf("line %d: a NUL byte in the header; hint: no mail server lets that pass, so this is no message as it was sent", m.line)
	}
	text, found := bytes.CutSuffix(line, []byte("\n"))
	text, crlf := bytes.CutSuffix(text, []byte("\r"))
	if found && !crlf && !m.bareLF {
		m.bareLF = true
		m.notes = append(m.notes, "lines end in LF, and are taken as CRLF, as they were on the way")
	}
	return text, nil
}

func (m *message) addLine(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		if len(m.fields) == 0 {
			return fmt.Errorf("line %d begins with white space, but there is no field before it that it could continue", m.line)
		}
		m.value = append(append(m.value, "\r\n"...), line...)
		return nil
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || !isFieldName(bytes.TrimRight(name, " \t")) {
		if len(m.fields) == 0 {
			return fmt.Errorf("line %d, %s, is no header field, so this is no message; hint: save the message with its whole header, as \"show original\" or \"raw message\"", m.line, quote(string(line)))
		}
		return fmt.Errorf("line %d, %s, is neither a header field nor the empty line that ends the header; hint: put an empty line between header and body", m.line, quote(string(line)))
	}
	m.endField()
	m.fields = append(m.fields, field{dkim.Field{Name: string(name)}, m.line})
	m.value = append(m.value[:0], value...)
	return nil
}

// endField keeps the value of the last field when it is whole: to add each line
// to a string would take minutes with a great many of them.
func (m *message) endField() {
	if len(m.fields) > 0 {
		m.fields[len(m.fields)-1].Value = string(m.value)
	}
}

// isFieldName follows RFC 5322, section 3.6.8.
func isFieldName(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}

// quote shows text from a message, or the start of it.
func quote(text string) string {
	if short := cut(text); len(short) < len(text) {
		return fmt.Sprintf("%q...", short)
	}
	return fmt.Sprintf("%q", text)
}

func cut(text string) string { return text[:min(len(text), 40)] }

// readBody passes the body on in pieces with CRLF line ends, and says after
// each whether a line ended with it.
func (m *message) readBody(write func(piece []byte, lineEnd bool)) error {
	start, afterCR, blank := true, false, true
	nul, bare := false, false
	for {
		piece, err := m.in.ReadSlice('\n')
		if len(piece) == 0 {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if start {
			if m.mbox && blank && bytes.HasPrefix(piece, []byte("From ")) {
				m.notes = append(m.notes, fmt.Sprintf("another message begins at line %d of this mbox, and was left out", m.line+1))
				return nil
			}
			m.line++
		}
		if !nul && bytes.IndexByte(piece, 0) >= 0 {
			nul = true
			m.notes = append(m.notes, fmt.Sprintf("line %d has a NUL byte, which mail servers remove or refuse", m.line))
		}
		ended := piece[len(piece)-1] == '\n'
		if !bare && !m.bareLF && hasBare(piece, afterCR, ended) {
			bare = true
			m.notes = append(m.notes, fmt.Sprintf("line %d has a CR or LF by itself, which mail servers change or refuse, and verifiers read in different ways", m.line))
		}
		crlf := ended && (len(piece) > 1 && piece[len(piece)-2] == '\r' || len(piece) == 1 && afterCR)
		if ended && !crlf && m.bareLF {
			if len(piece) > 1 {
				write(piece[:len(piece)-1], false)
			}
			write([]byte("\r\n"), true)
		} else {
			write(piece, ended)
		}
		if ended {
			blank = start && len(bytes.TrimRight(piece, "\r\n")) == 0
		}
		start, afterCR = ended, piece[len(piece)-1] == '\r'
		if err != nil && err != bufio.ErrBufferFull {
			if err == io.EOF {
				return nil
			}
			return err
		}
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
