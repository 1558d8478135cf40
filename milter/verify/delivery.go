package verify

import (
	"net/netip"
	"strings"

	"signpost/milter/message"
)

// Delivery is how a message came in from outside, in the words of the host that took it.
type Delivery struct {
	IP   netip.Addr // of the client
	With string     // the protocol, such as "ESMTPS"; empty where it is not one of mail
	TLS  bool
}

// Values returns the values of the fields with a name in lower case, from the top.
func (m *Message) Values(name string) (values []string) {
	for _, f := range message.Named(m.text.Fields, name) {
		values = append(values, f.Value)
	}
	return values
}

// Delivery reads the topmost Received field that names a client from outside.
func (m *Message) Delivery() (Delivery, bool) {
	c, line, ok := topClient(m.text.Fields)
	if !ok {
		return Delivery{}, false
	}
	d := Delivery{IP: c.ip}
	for _, f := range message.Named(m.text.Fields, "received") {
		if f.Line == line {
			d.With, d.TLS = protocol(f.Value)
		}
	}
	return d, true
}

// protocol returns the one after "with" in a Received field, and whether it is over TLS
// (RFC 3848), which some servers tell in a comment.
func protocol(value string) (with string, overTLS bool) {
	words := receivedWords(value)
	by := false
	for i, w := range words {
		lower := strings.ToLower(w.text)
		switch {
		case w.comment && by:
			overTLS = overTLS || strings.HasPrefix(lower, "version=tls") || strings.HasPrefix(lower, "tls")
		case w.comment && i > 0 && strings.EqualFold(words[i-1].text, "using"): // Postfix
			overTLS = overTLS || strings.HasPrefix(lower, "tls")
		case w.comment:
		case lower == "by":
			by = true
		case by && lower == "with" && with == "" && i+1 < len(words):
			with = words[i+1].text
		}
	}
	upper := strings.ToUpper(with)
	if !strings.Contains(upper, "SMTP") && !strings.HasPrefix(upper, "LMTP") {
		return "", overTLS
	}
	plain := strings.TrimSuffix(upper, "A")
	return with, overTLS || strings.HasSuffix(plain, "MTPS")
}
