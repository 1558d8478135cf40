package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/miekg/dns"
)

// Kind says why there was no answer.
type Kind string

// The ways in which a lookup fails. That a name does not exist, or has no
// record of a type, is an answer and no failure.
const (
	Timeout     Kind = "timeout"     // nothing came back in time
	ServFail    Kind = "servfail"    // SERVFAIL, or another code that says it could not
	Refused     Kind = "refused"     // REFUSED: it does not serve us, or not this name
	Unreachable Kind = "unreachable" // no way to the server, or nothing listens there
	Truncated   Kind = "truncated"   // too large for UDP, and TCP did not work
	Malformed   Kind = "malformed"   // what came back is no answer to the question
	Lame        Kind = "lame"        // it sent us elsewhere, as it neither has the name nor asks for us
	Loop        Kind = "loop"        // CNAMEs that never end
	NoAddress   Kind = "no-address"  // of a name server: its name has none
	BadName     Kind = "bad-name"    // not a name that the DNS could hold
)

// LookupError says that a question has no answer, which is not the answer that
// there is no record.
type LookupError struct {
	Name   string // without final dot
	Type   string // such as "TXT"
	Server string // host:port that was asked, empty where none was
	Kind   Kind
	Err    error // the cause, nil where Kind says it all
}

func (e *LookupError) Error() string {
	s := "looking up " + e.Type + " of " + e.Name + ": "
	server := e.Server
	if server == "" {
		server = "the DNS"
	}
	switch e.Kind {
	case Timeout:
		return s + server + " did not answer in time"
	case Unreachable:
		s += server + " cannot be reached"
	case Refused:
		s += server + " refused to answer"
	case ServFail:
		s += server + " failed to find out"
	case Truncated:
		s += server + " has an answer too large for UDP, and TCP failed"
	case Malformed:
		s += server + " sent a broken answer"
	case Lame:
		return s + server + " does not serve this name and asks no others"
	case NoAddress:
		return s + "the name server has no address"
	case Loop:
		return s + "its CNAME records lead in a circle"
	case BadName:
		return s + "it is not a name that the DNS can hold"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *LookupError) Unwrap() error { return e.Err }

// failure is a LookupError without the question, which its caller knows.
type failure struct {
	kind Kind
	err  error
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.kind, f.err) }

// networkFailure tells apart what can go wrong below the DNS.
func networkFailure(err error) *failure {
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled),
		errors.As(err, &timeout) && timeout.Timeout():
		return &failure{Timeout, err}
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		// "read udp 192.0.2.1:999->192.0.2.2:53: read: connection refused"
		// repeats what the LookupError says.
		for op != nil && op.Err != nil {
			err = op.Err
			op = nil
			errors.As(err, &op)
		}
		var call *os.SyscallError
		if errors.As(err, &call) {
			err = call.Err
		}
		return &failure{Unreachable, err}
	}
	return &failure{Malformed, err}
}

// codeFailure is for a response code other than success and NXDOMAIN.
func codeFailure(reply *dns.Msg) *failure {
	kind, text := ServFail, dns.RcodeToString[reply.Rcode]
	if reply.Rcode == dns.RcodeRefused {
		kind = Refused
	}
	if text == "" {
		text = fmt.Sprintf("code %d", reply.Rcode)
	}
	// Extended errors (RFC 8914) tell a DNSSEC failure from a dead server.
	if opt := reply.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if extended, ok := option.(*dns.EDNS0_EDE); ok {
				text += ", " + dns.ExtendedErrorCodeToString[extended.InfoCode]
				if extended.ExtraText != "" {
					text += fmt.Sprintf(" (%q)", extended.ExtraText)
				}
			}
		}
	}
	return &failure{kind, errors.New(text)}
}
