package milter

import (
	"encoding/binary"
	"errors"
	"fmt"

	"signpost/keystore/finding"
)

// protocolVersion is the newest version that we speak: that of Sendmail 8.14
// and of Postfix since 2.6.
const protocolVersion = 6

// What a milter may do to a message (SMFIF_…), as far as we use it.
const (
	actAddHeader = 0x1
	actSetMacros = 0x100 // say which macros it wants
)

// What the two sides leave out (SMFIP_…): the MTA does not send an event, or
// does not wait for the answer to it.
const (
	noHelo         = 0x2
	noRcpt         = 0x8
	noHeaderReply  = 0x80
	noUnknown      = 0x100
	noData         = 0x200
	noConnectReply = 0x1000
	noHeloReply    = 0x2000
	noMailReply    = 0x4000
	noRcptReply    = 0x8000
	noDataReply    = 0x10000
	noUnknownReply = 0x20000
	noEndHeadReply = 0x40000
	noBodyReply    = 0x80000
	leadingSpace   = 0x100000 // a value keeps the space after the colon
)

// wantedProtocol asks for connect, MAIL, header and body, with the space after
// the colon kept, and for no waiting for replies but to MAIL and to the end of
// the message. Without a reply to MAIL, Postfix keeps that command back until
// DATA, and a session that has begun a message would look idle to a shutdown.
const wantedProtocol = noHelo | noRcpt | noUnknown | noData | noConnectReply | noHeloReply | noRcptReply |
	noDataReply | noUnknownReply | noHeaderReply | noEndHeadReply | noBodyReply | leadingSpace

// wantedMacros are the macros that we read, by the number of the stage
// (SMFIM_…) that they come with: MAIL and end of message.
func wantedMacros(reply []byte) []byte {
	reply = append(binary.BigEndian.AppendUint32(reply, 2), macroLogin+"\x00"...)
	return append(binary.BigEndian.AppendUint32(reply, 5), macroQueueID+"\x00"...)
}

// terms are what both sides have agreed on.
type terms struct{ version, actions, protocol uint32 }

// negotiate takes what the MTA offers of what is wanted, and appends the
// answer to reply. Postfix offers all of it; with older MTAs only the adding of
// header fields is indispensable. The offer has the size that checkPayload asks
// for.
func negotiate(offer, reply []byte) (t terms, _ []byte, err error) {
	version, actions := binary.BigEndian.Uint32(offer), binary.BigEndian.Uint32(offer[4:])
	protocol := binary.BigEndian.Uint32(offer[8:])
	if version < 2 {
		return t, reply, finding.WithHint(fmt.Errorf("the MTA speaks milter protocol %d, 2 is the least", version),
			"set milter_protocol=6")
	}
	if actions&actAddHeader == 0 {
		return t, reply, errors.New("the MTA does not let header fields be added, so nothing can be signed")
	}
	t = terms{min(version, protocolVersion), actions & (actAddHeader | actSetMacros), protocol & wantedProtocol}
	start := len(reply)
	reply = append(reply, 0, 0, 0, 0, cmdNegotiate)
	reply = binary.BigEndian.AppendUint32(reply, t.version)
	reply = binary.BigEndian.AppendUint32(reply, t.actions)
	reply = binary.BigEndian.AppendUint32(reply, t.protocol)
	if t.actions&actSetMacros != 0 {
		reply = wantedMacros(reply)
	}
	return t, finished(reply, start), nil
}

// answers reports whether the MTA waits for an answer to the command.
func (t terms) answers(command byte) bool {
	var unless uint32
	switch command {
	case cmdConnect:
		unless = noConnectReply
	case cmdHelo:
		unless = noHeloReply
	case cmdMail:
		unless = noMailReply
	case cmdRcpt:
		unless = noRcptReply
	case cmdData:
		unless = noDataReply
	case cmdUnknown:
		unless = noUnknownReply
	case cmdHeader:
		unless = noHeaderReply
	case cmdEndOfHead:
		unless = noEndHeadReply
	case cmdBody:
		unless = noBodyReply
	default:
		return false
	}
	return t.protocol&unless == 0
}
