package verify

import (
	"fmt"
	"net/netip"
	"strings"
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
func (e Envelope) complete(m *message) (Envelope, []string) {
	var from []string
	if !e.IP.IsValid() {
		if c, line, ok := topClient(m.fields); ok {
			e.IP = c.ip
			from = append(from, fmt.Sprintf("the client is the one in the Received field at line %d", line))
			if e.Helo == "" {
				e.Helo = c.helo
			}
		}
	}
	if e.MailFrom == "" {
		if value, line, ok := first(m.fields, "return-path"); ok {
			e.MailFrom = returnPath(value)
			from = append(from, fmt.Sprintf("MAIL FROM is the Return-Path at line %d", line))
		} else if m.sender != "" {
			e.MailFrom = m.sender
			from = append(from, "MAIL FROM is in the first line of the mbox")
		}
	}
	return e, from
}

// topClient returns the client that the topmost Received fields tell of. Hops
// within a host or a site come first there: filters, and the way to a mailbox.
func topClient(fields []field) (client, int, bool) {
	for _, f := range fields {
		if !strings.EqualFold(strings.TrimRight(f.Name, " \t"), "received") {
			continue
		}
		c, ok := parseReceived(f.Value)
		if !ok || c.ip.IsLoopback() || c.ip.IsPrivate() || c.ip.IsLinkLocalUnicast() {
			continue
		}
		return c, f.line, true
	}
	return client{}, 0, false
}

func first(fields []field, name string) (value string, line int, found bool) {
	for _, f := range fields {
		if strings.EqualFold(strings.TrimRight(f.Name, " \t"), name) {
			return f.Value, f.line, true
		}
	}
	return "", 0, false
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
