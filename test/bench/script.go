package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"signpost/test/lab"
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
)

// chunkSize is the most of a body that Postfix puts into one frame, in bytes.
const chunkSize = 65535

// An agreement is what a milter answered to the negotiation.
type agreement struct {
	protocol uint32
	raw      string            // the answer's payload
	macros   map[byte][]string // what it wants told at a stage, by command, instead of Postfix's defaults
}

// macroStages are the commands by the number that a milter uses for them
// (SMFIM_CONNECT to SMFIM_EOH).
const macroStages = "CHMRTEN"

// parseAgreement reads the payload of a milter's answer.
func parseAgreement(payload []byte) (agreement, error) {
	a := agreement{raw: string(payload), macros: make(map[byte][]string)}
	if len(payload) < 12 {
		return a, fmt.Errorf("negotiation answered with %d bytes, want 12 or more", len(payload))
	}
	version := binary.BigEndian.Uint32(payload)
	actions := binary.BigEndian.Uint32(payload[4:])
	a.protocol = binary.BigEndian.Uint32(payload[8:])
	if version > lab.OfferedVersion || actions&^lab.OfferedActions != 0 || a.protocol&^lab.OfferedProtocol != 0 {
		return a, fmt.Errorf("negotiation answered with version=%d actions=%#x protocol=%#x, which was not offered", version, actions, a.protocol)
	}
	rest := payload[12:]
	for actions&maySetMacros != 0 && len(rest) > 4 {
		stage := binary.BigEndian.Uint32(rest)
		names, after, ok := bytes.Cut(rest[4:], []byte{0})
		if !ok || int(stage) >= len(macroStages) {
			return a, fmt.Errorf("negotiation answered with a bad list of macros %q", rest)
		}
		a.macros[macroStages[stage]] = strings.FieldsFunc(string(names), func(r rune) bool { return r == ' ' || r == ',' })
		rest = after
	}
	return a, nil
}

// Macros that Postfix sends unless the milter asks for others (postconf(5),
// milter_connect_macros and so on).
var defaultMacros = map[byte][]string{
	'C': {"j", "{daemon_name}", "{daemon_addr}", "v", "_"},
	'H': {"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"},
	'M': {"i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}", "{mail_mailer}"},
	'R': {"i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"},
	'T': {"i"},
	'N': {"i"},
	'E': {"i"},
}

// Values of macros. Those that a client without TLS and login does not have are
// missing, and so left out, as Postfix does.
var macroValues = map[string]string{
	"j": "mta.test", "{daemon_name}": "mta.test", "{daemon_addr}": "127.0.0.1", "v": "Postfix 3.7.11",
	"_":             "localhost [127.0.0.1]",
	"{client_addr}": "127.0.0.1", "{client_name}": "localhost", "{client_ptr}": "localhost",
	"{client_port}": "46610", "{client_connections}": "1",
	"{mail_addr}": "bounces@" + domainMark, "{mail_host}": domainMark, "{mail_mailer}": "smtp",
	"{rcpt_addr}": "reader@rcpt.test", "{rcpt_host}": "rcpt.test", "{rcpt_mailer}": "smtp",
	"i": idMark,
}

// A step is what is sent before a reply is waited for: one or more frames, of
// which the milter answers the last.
type step struct {
	command    byte // of the last frame
	start, end int  // in the script's bytes
}

// Frames that end a message, and a connection.
var (
	abort = lab.AppendFrame(nil, 'A')
	quit  = lab.AppendFrame(nil, 'Q')
)

// A script is all that is said to a milter on a connection, in frames that are
// built once. The marks in it are overwritten for each message.
type script struct {
	bytes   []byte
	open    []step // once a connection
	unasked []byte // the rest of that, which goes with the first message, for no reply is awaited
	message []step // for each message
	sent    int    // where the frames of the step start that is being built
	domains []int  // where the marks are
	ids     []int
	domain  string // what stands there
}

// newScript plays the part of Postfix as the milter wants it.
func newScript(a agreement, m mail) *script {
	s := &script{domain: domainMark}
	// The macros of a step are sent even when the step is not wanted, other than
	// those of the header and the body.
	s.say(a, 'C', noConnect, noReplyConnect, "localhost\x00", "4", "\xb6\x12", "127.0.0.1\x00")
	s.say(a, 'H', noHelo, noReplyHelo, "client.test\x00")
	s.open, s.message = s.message, nil
	s.unasked = slices.Clone(s.bytes[s.sent:])
	// The end of the message before it, which the first one on a connection leaves out.
	s.sent = len(s.bytes)
	s.bytes = append(s.bytes, abort...)
	s.say(a, 'M', noMail, noReplyMail, "<bounces@"+domainMark+">\x00", "SIZE=4096\x00")
	s.say(a, 'R', noRcpt, noReplyRcpt, "<reader@rcpt.test>\x00")
	s.say(a, 'T', noData, noReplyData)
	for _, f := range m.fields {
		value := f.value
		if a.protocol&leadingSpace == 0 {
			value = strings.TrimPrefix(value, " ")
		}
		if a.protocol&noHeader == 0 {
			s.say(a, 'L', noHeader, noReplyHeader, f.name+"\x00", value+"\x00")
		}
	}
	if a.protocol&noEndOfHeader == 0 {
		s.say(a, 'N', noEndOfHeader, noReplyEndOfHeader)
	}
	if a.protocol&noBody == 0 {
		for chunk := range slices.Chunk(m.body, chunkSize) {
			s.say(a, 'B', noBody, noReplyBody, string(chunk))
		}
	}
	s.say(a, 'E', 0, 0)
	s.domains, s.ids = offsets(s.bytes, domainMark), offsets(s.bytes, idMark)
	return s
}

// say adds a command with the macros of its stage. The bits are those by which a
// milter does without the command, or without answering it.
func (s *script) say(a agreement, command byte, unwanted, unanswered uint32, payload ...string) {
	stage := command
	switch command {
	case 'L':
		stage = 'N'
	case 'B':
		stage = 'E'
	}
	names, ok := a.macros[stage]
	if !ok {
		names = defaultMacros[stage]
	}
	macros := []string{string(command)}
	for _, name := range names {
		value, ok := macroValues[name]
		if name == "i" && (command == 'C' || command == 'H' || command == 'M' || command == 'R') {
			continue // Postfix names the queue file after the first recipient was accepted
		}
		if ok {
			macros = append(macros, name+"\x00", value+"\x00")
		}
	}
	s.bytes = lab.AppendFrame(s.bytes, 'D', macros...)
	if a.protocol&unwanted != 0 {
		return
	}
	s.bytes = lab.AppendFrame(s.bytes, command, payload...)
	if a.protocol&unanswered == 0 {
		s.message = append(s.message, step{command, s.sent, len(s.bytes)})
		s.sent = len(s.bytes)
	}
}

// offsets are the places of the mark.
func offsets(b []byte, mark string) (found []int) {
	for at := 0; ; at += len(mark) {
		i := bytes.Index(b[at:], []byte(mark))
		if i < 0 {
			return found
		}
		at += i
		found = append(found, at)
	}
}

// stamp makes a message of its own of the script.
func (s *script) stamp(domain, id string) {
	if domain != s.domain {
		for _, at := range s.domains {
			copy(s.bytes[at:], domain)
		}
		s.domain = domain
	}
	for _, at := range s.ids {
		copy(s.bytes[at:], id)
	}
}
