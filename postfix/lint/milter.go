package lint

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"signpost/postfix"
)

// A milter is one entry of smtpd_milters.
type milter struct {
	text    string // as it is written
	address string
	options map[string]string // of the form in braces
	err     string            // what Postfix stops at
}

// parseMilter reads "inet:host:port", "unix:path" and
// "{ inet:host:port, name=value ... }".
func parseMilter(text string) milter {
	m := milter{text: text, address: text, options: make(map[string]string)}
	if inside, ok := strings.CutPrefix(text, "{"); ok {
		words := postfix.List(strings.TrimSuffix(inside, "}"))
		if len(words) == 0 {
			m.err = "nothing in braces"
			return m
		}
		m.address = words[0]
		for _, word := range words[1:] {
			word = strings.TrimSuffix(strings.TrimPrefix(word, "{"), "}")
			name, value, ok := strings.Cut(word, "=")
			if !ok {
				m.err = fmt.Sprintf("%q has no =, which must stand without blanks around it", word)
			}
			m.options[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	kind, rest, _ := strings.Cut(m.address, ":")
	switch {
	case m.err != "":
	case kind == "inet" && strings.Contains(rest, "@"):
		port, host, _ := strings.Cut(rest, "@")
		m.err = fmt.Sprintf("%s is written as OpenDKIM does, Postfix wants inet:%s:%s", m.address, host, port)
	case kind == "inet":
		if _, port, err := net.SplitHostPort(rest); err != nil || port == "" {
			m.err = fmt.Sprintf("invalid address %s, Postfix wants inet:host:port", m.address)
		}
	case (kind == "unix" || kind == "local") && rest != "":
	default:
		m.err = fmt.Sprintf("%s starts with neither inet: nor unix:", m.address)
	}
	return m
}

// socket is the path of a unix socket, "" for another address. A relative one
// is in the queue directory.
func (m milter) socket(queue string) string {
	kind, file, _ := strings.Cut(m.address, ":")
	if kind != "unix" && kind != "local" {
		return ""
	}
	if !strings.HasPrefix(file, "/") {
		file = path.Join(queue, file)
	}
	return path.Clean(file)
}

// at reports whether the milter is the one at the address.
func (m milter) at(address, queue string) bool {
	other := parseMilter(address)
	if m.socket(queue) != "" || other.socket(queue) != "" {
		mine, theirs := m.socket(queue), other.socket(queue)
		// A chrooted smtpd has the path without that of the queue.
		return mine == theirs || mine != "" && path.Join(queue, mine) == theirs
	}
	return normal(m.address) == normal(other.address)
}

// normal makes one form of an inet address.
func normal(address string) string {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(address, "inet:"))
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost") {
		host = "localhost"
	}
	return strings.ToLower(strings.TrimSuffix(host, ".")) + ":" + port
}

// port is that of an inet address, "" for another one.
func (m milter) port() string {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(m.address, "inet:"))
	return port
}

// signer names the other program that usually signs at the address, "" for none
// known.
func (m milter) signer() string {
	port := m.port()
	switch {
	case strings.Contains(m.address, "opendkim") || port == "12301":
		return "OpenDKIM"
	case strings.Contains(m.address, "rspamd") || port == "11332":
		return "rspamd"
	case strings.Contains(m.address, "dkimpy") || port == "8892":
		return "dkimpy-milter"
	case strings.Contains(m.address, "dkim") || strings.Contains(m.address, "signpost") || port == "8891":
		return "a DKIM signer"
	}
	return ""
}

// milters are those that mail meets by a service.
func (l *linter) milters(s postfix.Service) []milter {
	var out []milter
	for _, text := range l.config.Milters(s) {
		out = append(out, parseMilter(text))
	}
	return out
}

// has reports whether signpostd is among the milters. Where its address is not
// known any will do.
func (l *linter) has(milters []milter) bool {
	if l.signpostd == "" {
		return len(milters) > 0
	}
	queue := l.config.Value("queue_directory")
	return slices.ContainsFunc(milters, func(m milter) bool { return m.at(l.signpostd, queue) })
}

// isOther reports whether a milter is known to be another than signpostd, which is among
// the milters too.
func (l *linter) isOther(m milter) bool {
	entrances := append(l.listeners(), l.pickup())
	return l.signpostd != "" && !m.at(l.signpostd, l.config.Value("queue_directory")) &&
		slices.ContainsFunc(entrances, func(s postfix.Service) bool { return l.has(l.milters(s)) })
}

// wanted is the address to give in advice.
func (l *linter) wanted() string {
	if l.signpostd != "" {
		return l.signpostd
	}
	for _, name := range []string{"smtpd_milters", "non_smtpd_milters"} {
		if l.config.Unsound(name) != nil {
			continue
		}
		if list := postfix.List(l.config.Value(name)); len(list) > 0 && !strings.EqualFold(list[0], "DISABLE") {
			return list[0]
		}
	}
	return anyMilter
}

func texts(milters []milter) string {
	var out []string
	for _, m := range milters {
		out = append(out, m.text)
	}
	return strings.Join(out, ", ")
}
