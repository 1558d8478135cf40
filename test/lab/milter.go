package lab

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// What Postfix from 2.6 on offers a milter in the negotiation.
const (
	OfferedVersion  = 6
	OfferedActions  = 0x1ff
	OfferedProtocol = 0x1fffff
)

// AppendFrame adds a frame: length, command, payload.
func AppendFrame(b []byte, command byte, payload ...string) []byte {
	size := 1
	for _, p := range payload {
		size += len(p)
	}
	b = append(binary.BigEndian.AppendUint32(b, uint32(size)), command)
	for _, p := range payload {
		b = append(b, p...)
	}
	return b
}

// ReadFrame reads one frame. The payload is in buf, which grows when it must,
// and is good until the next call.
func ReadFrame(r *bufio.Reader, buf *[]byte) (command byte, payload []byte, err error) {
	head, err := r.Peek(5)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint32(head)) - 1
	command = head[4]
	if size < 0 || size > 1<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes; at most %d are taken", size+1, 1<<20)
	}
	if _, err := r.Discard(5); err != nil {
		return 0, nil, err
	}
	if cap(*buf) < size {
		*buf = make([]byte, size)
	}
	payload = (*buf)[:size]
	_, err = io.ReadFull(r, payload)
	return command, payload, err
}

// Offer is the negotiation that Postfix begins with.
func Offer() []byte {
	b := binary.BigEndian.AppendUint32(nil, OfferedVersion)
	b = binary.BigEndian.AppendUint32(b, OfferedActions)
	return AppendFrame(nil, 'O', string(binary.BigEndian.AppendUint32(b, OfferedProtocol)))
}
