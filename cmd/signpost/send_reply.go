package main

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// reply is an answer of the server.
type reply struct {
	code  int
	lines []string
}

func (r reply) text() string { return strings.Join(r.lines, " ") }

func (r reply) String() string { return fmt.Sprintf("%d %s", r.code, r.text()) }

// stageError is a failure, with where in the dialogue it was.
type stageError struct {
	stage string // connect, greeting, EHLO, STARTTLS, TLS, AUTH, MAIL, RCPT, DATA, message
	reply *reply // when the server said no
	err   error  // else
}

func (e *stageError) Error() string {
	switch {
	case e.reply != nil && e.stage == "greeting":
		return fmt.Sprintf("the server greets with %s", e.reply)
	case e.reply != nil && e.stage == "message":
		return fmt.Sprintf("the server answers the message with %s", e.reply)
	case e.reply != nil:
		return fmt.Sprintf("the server answers %s with %s", e.stage, e.reply)
	}
	return fmt.Sprintf("%s: %v", e.stage, e.err)
}

func (e *stageError) Unwrap() error { return e.err }

// Bounds on a reply, far above what RFC 5321, section 4.5.3.1.5, allows.
const (
	maxReplyLine  = 4 << 10
	maxReplyLines = 200
)

// read reads one reply, of one line or more.
func (s *smtpConn) read() (reply, error) {
	var r reply
	_ = s.conn.SetDeadline(time.Now().Add(s.timeout))
	for {
		raw, err := s.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return r, fmt.Errorf("the server sent a line of over %d bytes", maxReplyLine)
		}
		line := strings.TrimRight(string(raw), "\r\n")
		if line != "" || err == nil {
			s.dialogue.say("S", "%s", line)
		}
		if err != nil {
			return r, err
		}
		code, more, text, err := parseReplyLine(line)
		if err != nil || r.code != 0 && code != r.code {
			return r, fmt.Errorf("the server sent %.80q, which is not an SMTP reply", s.dialogue.clean(line))
		}
		r.code, r.lines = code, append(r.lines, s.dialogue.clean(text))
		if !more {
			return r, nil
		}
		if len(r.lines) > maxReplyLines {
			return r, fmt.Errorf("the server sent a reply of over %d lines", maxReplyLines)
		}
	}
}

// parseReplyLine reads a line of RFC 5321, section 4.2: three digits, a hyphen
// when more lines follow, and text.
func parseReplyLine(line string) (code int, more bool, text string, err error) {
	if len(line) < 3 {
		return 0, false, "", errors.New("too short")
	}
	number, err := strconv.ParseUint(line[:3], 10, 16)
	if err != nil || number < 200 || number > 599 {
		return 0, false, "", errors.New("no code")
	}
	if rest := line[3:]; rest != "" {
		if rest[0] != ' ' && rest[0] != '-' {
			return 0, false, "", errors.New("no blank after the code")
		}
		more, text = rest[0] == '-', rest[1:]
	}
	return int(number), more, text, nil
}
