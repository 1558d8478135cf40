package reports

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// mbox looks at one message after the other. Those of a mailbox that is a file by itself are as
// large together as the file is; one that comes out of an archive is bounded as that is.
func (s *search) mbox(where string, in *bufio.Reader, depth int) {
	file := depth == s.Limits.Depth
	m := &mbox{in: in}
	for number := 1; m.next() && !s.done(); number++ {
		if file {
			s.renew()
		}
		if !s.message(fmt.Sprintf("%s: message %d", where, number), m, depth-1) {
			return // it has told of the error
		}
	}
	if m.err != io.EOF && m.err != nil {
		s.fail(where, m.err)
	}
}

// mbox splits a mailbox of the format of mbox(5): a message begins with a line "From " after an
// empty line. Read reads a message without that line, up to the next.
//
// A line that would look like it has a ">" before it, which is taken off (mboxrd). Nothing is made
// of Content-Length, which is often wrong.
type mbox struct {
	in    *bufio.Reader
	piece []byte // of a line, not yet read
	err   error

	started bool // a message has been met
	begins  bool // the next piece is the start of a line
	blank   bool // the last line was empty
	ended   bool // the next line begins another message
}

// next goes to the next message, if there is one.
func (m *mbox) next() bool {
	if !m.started {
		m.started, m.begins, m.blank = true, true, true
	}
	for !m.ended {
		if !m.fill() && !m.ended {
			return false
		}
	}
	err := bufio.ErrBufferFull
	for err == bufio.ErrBufferFull {
		_, err = m.in.ReadSlice('\n')
	}
	m.piece, m.err = nil, err
	m.ended, m.begins, m.blank = false, true, false
	return true
}

// fill gets the next piece of the message, unless it has ended.
func (m *mbox) fill() bool {
	if m.ended || m.err != nil {
		return false
	}
	if m.begins && m.blank {
		if start, _ := m.in.Peek(5); string(start) == "From " {
			m.ended = true
			return false
		}
	}
	piece, err := m.in.ReadSlice('\n')
	if err != nil && err != bufio.ErrBufferFull {
		m.err = err
	}
	if m.begins {
		m.blank = len(bytes.TrimRight(piece, "\r\n")) == 0
		if quoted := bytes.TrimLeft(piece, ">"); len(quoted) < len(piece) && bytes.HasPrefix(quoted, []byte("From ")) {
			piece = piece[1:]
		}
	}
	m.begins = err == nil
	m.piece = piece
	return len(piece) > 0
}

func (m *mbox) Read(p []byte) (int, error) {
	if len(m.piece) == 0 && !m.fill() {
		if m.err != nil {
			return 0, m.err
		}
		return 0, io.EOF
	}
	n := copy(p, m.piece)
	m.piece = m.piece[n:]
	return n, nil
}
