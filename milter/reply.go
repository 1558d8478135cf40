package milter

import (
	"encoding/binary"
	"strings"
)

// Replies of a milter, with the names that libmilter gives them (SMFIR_…).
const (
	replyAccept       = 'a'
	replyContinue     = 'c'
	replyInsertHeader = 'i'
	replyCode         = 'y'
)

// finished fills in the length of the frame that begins at start.
func finished(frames []byte, start int) []byte {
	binary.BigEndian.PutUint32(frames[start:], uint32(len(frames)-start-lengthSize))
	return frames
}

// appendReply appends a reply without more to say than its code, or with text.
func appendReply(frames []byte, code byte, text string) []byte {
	start := len(frames)
	frames = append(frames, 0, 0, 0, 0, code)
	if text != "" {
		frames = append(append(frames, text...), 0)
	}
	return finished(frames, start)
}

// appendInsert appends the change that puts a field on top of the header. The
// lines of its value are parted by LF alone, as everywhere in the protocol.
func appendInsert(frames []byte, name, value string) []byte {
	start := len(frames)
	frames = append(frames, 0, 0, 0, 0, replyInsertHeader, 0, 0, 0, 0)
	frames = append(append(frames, name...), 0)
	for more := true; more; {
		var line string
		line, value, more = strings.Cut(value, "\r\n")
		frames = append(frames, line...)
		if more {
			frames = append(frames, '\n')
		}
	}
	return finished(append(frames, 0), start)
}

// refusal returns the SMTP reply of a verdict that is no acceptance (RFC 3463: 5.7.1, and
// 5.6.0 for what is in the message). What never gets better is told to whom it concerns.
func refusal(v Verdict) string {
	status := ".7.1 "
	switch v.Reason {
	case LoginMismatch, FromMultiple, FromInvalid, FromAmbiguous:
	case LineTooLong:
		status = ".6.0 "
	case MemoryLimit:
		return "451 4.3.0 too much mail in transit, try again later"
	default:
		return "451 4.7.1 the message cannot be signed now, try again later"
	}
	code := "550 5"
	if v.Action == TempFail {
		code = "451 4"
	}
	// A % has a meaning in replies of milters, and text from a message has no place there.
	return code + status + strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '%' {
			return '?'
		}
		return c
	}, v.Err.Error()[:min(len(v.Err.Error()), maxReply)])
}

// maxReply leaves room in a line of SMTP (RFC 5321, section 4.5.3.1.5).
const maxReply = 400
