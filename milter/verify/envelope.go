package verify

import (
	"fmt"
	"net/netip"
	"strings"

	"signpost/milter/message"
)

// Envelope is what a mail server learns before the message. What is not given
// is read from the message: the client from the top Received fields, MAIL FROM
// from Return-Path.
type Envelope struct {
	IP   netip.Addr // of the client; zero: unknown
	Helo string
	// MailFrom is the address, without angle brackets. NullSender stands for
	// the empty one of a bounce, and empty means unknown.
	MailFrom string
}

// NullSender is the address in MAIL FROM:<>.
const NullSender = "<>"

// complete fills in what is not given, and says where it was found.
func (e Envelope) complete(m *message.Reader) (Envelope, []string) {
	var from []string
	if !e.IP.IsValid() {
		if c, line, ok := topClient(m.Fields); ok {
			e.IP = c.ip
			from = append(from, fmt.Sprintf("the client is the one in the Received field at line %d", line))
			if e.Helo == "" {
				e.Helo = c.helo
			}
		}
	}
	if e.MailFrom == "" {
		if paths := message.Named(m.Fields, "return-path"); len(paths) > 0 {
			e.MailFrom = returnPath(paths[0].Value)
			from = append(from, fmt.Sprintf("MAIL FROM is the Return-Path at line %d", paths[0].Line))
		} else if m.Sender != "" {
			e.MailFrom = m.Sender
			from = append(from, "MAIL FROM is in the first line of the mbox")
		}
	}
	return e, from
}

// topClient returns the client in the topmost Received field that names one from
// outside. Above it are hops within a host or a site: filters, the local delivery.
func topClient(fields []message.Field) (client, int, bool) {
	for _, f := range message.Named(fields, "received") {
		c, ok := parseReceived(f.Value)
		if !ok || c.ip.IsLoopback() || c.ip.IsPrivate() || c.ip.IsLinkLocalUnicast() {
			continue
		}
		return c, f.Line, true
	}
	return client{}, 0, false
}

// returnPath returns the address in a Return-Path field.
func returnPath(value string) string {
	value = strings.Trim(value, whiteSpace)
	if open := strings.IndexByte(value, '<'); open >= 0 {
		if end := strings.LastIndexByte(value, '>'); end > open {
			value = strings.Trim(value[open+1:end], whiteSpace)
		}
	}
	if value == "" {
		return NullSender
	}
	return value
}
