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
