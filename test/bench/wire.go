package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Bits of the negotiation (SMFIF_…, SMFIP_…): what a milter may do, and which
// steps it does not want or does not answer.
const (
	maySetMacros = 0x100

	noConnect, noHelo, noMail, noRcpt, noBody, noHeader, noEndOfHeader = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40
	noReplyHeader                                                      = 0x80
	noUnknown, noData, maySkip, mayRejectedRcpt                        = 0x100, 0x200, 0x400, 0x800
	noReplyConnect, noReplyHelo, noReplyMail, noReplyRcpt              = 0x1000, 0x2000, 0x4000, 0x8000
	noReplyData, noReplyUnknown, noReplyEndOfHeader, noReplyBody       = 0x10000, 0x20000, 0x40000, 0x80000
	leadingSpace                                                       = 0x100000

	// What Postfix from 2.6 on offers.
	offeredVersion  = 6
	offeredActions  = 0x1ff
	offeredProtocol = 0x1fffff
)

// chunkSize is the most of a body that Postfix puts into one frame, in bytes.
const chunkSize = 65535

// appendFrame adds a frame: length, command, payload.
func appendFrame(b []byte, command byte, payload ...string) []byte {
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

// readFrame reads one frame. The payload is in buf, which grows when it must,
// and is good until the next call.
func readFrame(r *bufio.Reader, buf *[]byte) (command byte, payload []byte, err error) {
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
