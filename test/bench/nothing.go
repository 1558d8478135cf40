package main

import (
	"bufio"
	"errors"
	"net"
	"strings"

	"signpost/test/lab"
)

// serveNothing is a milter that does nothing: it takes all that Postfix sends,
// answers only the end of a message, and accepts it. What a signer costs beyond
// it is the price of signing. With endOfMessage, what that returns is sent
// before the answer, for each message on its own.
func serveNothing(ln net.Listener, endOfMessage func() []byte) error {
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go converse(conn, endOfMessage)
	}
}

// longField is the change that adds a field as long as a DKIM-Signature with a key of
// 2048 bits.
func longField() []byte {
	const index, lines = "\x00\x00\x00\x00", 8
	return lab.AppendFrame(nil, 'i', index, "X-Signature\x00", strings.Repeat("\n "+strings.Repeat("x", 70), lines), "\x00")
}

// converse serves one connection until its end, whatever that is.
func converse(conn net.Conn, endOfMessage func() []byte) {
	defer conn.Close()
	const adds = 0x1
	noReplies := uint32(noReplyConnect | noReplyHelo | noReplyMail | noReplyRcpt | noReplyData | noReplyUnknown |
		noReplyHeader | noReplyEndOfHeader | noReplyBody | noUnknown | leadingSpace)
	agreed := lab.AppendFrame(nil, 'O', "\x00\x00\x00\x06", "\x00\x00\x00", string(rune(adds)),
		string([]byte{byte(noReplies >> 24), byte(noReplies >> 16), byte(noReplies >> 8), byte(noReplies)}))
	accept := lab.AppendFrame(nil, 'a')
	in := bufio.NewReaderSize(conn, 64<<10)
	var buf []byte
	for {
		command, _, err := lab.ReadFrame(in, &buf)
		if err != nil {
			return
		}
		switch command {
		case 'O':
			_, err = conn.Write(agreed)
		case 'E':
			answer := accept
			if endOfMessage != nil {
				answer = append(endOfMessage(), accept...)
			}
			_, err = conn.Write(answer)
		case 'Q':
			return
		}
		if err != nil {
			return
		}
	}
}
