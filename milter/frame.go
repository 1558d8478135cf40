package milter

import (
	"bytes"
	"fmt"
)

// Commands of the milter protocol that an MTA sends, with the names that
// libmilter gives them (SMFIC_…).
const (
	cmdAbort     = 'A'
	cmdBody      = 'B'
	cmdConnect   = 'C'
	cmdMacro     = 'D'
	cmdEndOfBody = 'E'
	cmdHelo      = 'H'
	cmdQuitReuse = 'K'
	cmdHeader    = 'L'
	cmdMail      = 'M'
	cmdEndOfHead = 'N'
	cmdNegotiate = 'O'
	cmdQuit      = 'Q'
	cmdRcpt      = 'R'
	cmdData      = 'T'
	cmdUnknown   = 'U'
)

// Bounds on the payload of a frame, in bytes.
const (
	maxBodyFrame  = 1 << 20 // the largest chunk that the protocol can agree on
	maxOtherFrame = 64 << 10
	// A header field may exceed the bound on the whole header: it is cut there,
	// and the message is then refused, or let through, for what it is.
	maxFrame = 64 << 20
)

// frameError is why a peer is no milter client, or a broken one.
type frameError struct{ why string }

func (e frameError) Error() string { return e.why }

// checkSize bounds a frame before any of it is read.
func checkSize(command byte, size int) error {
	limit := maxOtherFrame
	switch command {
	case cmdBody:
		limit = maxBodyFrame
	case cmdHeader:
		limit = maxFrame
	case cmdEndOfBody:
		limit = 0 // a last chunk here would go unsigned; no MTA sends one
	case cmdAbort, cmdConnect, cmdMacro, cmdHelo, cmdQuitReuse, cmdMail, cmdEndOfHead,
		cmdNegotiate, cmdQuit, cmdRcpt, cmdData, cmdUnknown:
	default:
		return frameError{fmt.Sprintf("unknown command %q", command)}
	}
	if size > limit {
		return frameError{fmt.Sprintf("%q frame of %d bytes, at most %d are taken", command, size, limit)}
	}
	return nil
}

// checkPayload lets through the shapes that the session can read.
func checkPayload(command byte, payload []byte) error {
	terminated := len(payload) > 0 && payload[len(payload)-1] == 0
	ok := true
	switch command {
	case cmdNegotiate:
		ok = len(payload) >= 12 // version, actions, protocol
	case cmdMacro:
		ok = len(payload) > 0
	case cmdConnect:
		// hostname NUL family [port address NUL]
		end := bytes.IndexByte(payload, 0)
		ok = end >= 0 && len(payload) > end+1
	case cmdHelo:
		ok = len(payload) > 0
	case cmdMail, cmdRcpt:
		ok = terminated // address NUL arguments
	case cmdHeader:
		// name NUL value NUL
		ok = terminated && payload[0] != 0 && bytes.Count(payload, []byte{0}) == 2
	}
	if !ok {
		return frameError{fmt.Sprintf("malformed %q frame of %d bytes", command, len(payload))}
	}
	return nil
}
