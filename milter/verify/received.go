package verify

import (
	"net/netip"
	"strings"
)

// client is what a Received field says of who delivered the message.
type client struct {
	helo string
	ip   netip.Addr
}

// parseReceived reads the "from" part of a Received field as the common mail
// servers write it. Without an address it reports false: the message came in
// otherwise than by SMTP.
//
//	from helo (name [192.0.2.1]) by ...               Postfix, Sendmail
//	from helo (name. [IPv6:2001:db8::1]) by ...
//	from [192.0.2.1] (helo=helo) by ...               Exim
//	from name ([192.0.2.1] helo=helo) by ...
//	from helo (2001:db8::1) by ...                    Exchange
//	from unknown (HELO helo) (192.0.2.1) by ...       qmail
func parseReceived(value string) (client, bool) {
	words := receivedWords(value)
	if len(words) < 2 || !strings.EqualFold(words[0].text, "from") || words[0].comment {
		return client{}, false
	}
	c := client{helo: words[1].text}
	var literal, said netip.Addr // [address], and one without brackets in a comment
	for i, w := range words[1:] {
		if !w.comment && strings.EqualFold(w.text, "by") && i > 0 {
			break
		}
		if name, ok := heloWord(words[1:], i); ok {
			c.helo = name
		}
		if saidByClient(words[1:], i) {
			continue // an address in it is any that the client likes
		}
		ip, brackets := address(w.text)
		switch {
		case !ip.IsValid():
		case w.comment && brackets && !c.ip.IsValid():
			c.ip = ip
		case w.comment && !said.IsValid():
			said = ip
		case brackets && !literal.IsValid():
			literal = ip
		}
	}
	for _, ip := range []netip.Addr{said, literal} {
		if !c.ip.IsValid() {
			c.ip = ip
		}
	}
	return c, c.ip.IsValid()
}

// receivedWord is a word outside or inside of a comment.
type receivedWord struct {
	text    string
	comment bool
}

// maxReceived bounds what is read of a field; the client comes first.
const maxReceived = 2000

func receivedWords(value string) []receivedWord {
	value = value[:min(len(value), maxReceived)]
	var words []receivedWord
	depth, start := 0, 0
	flush := func(end int) {
		if start < end {
			words = append(words, receivedWord{value[start:end], depth > 0})
		}
		start = end + 1
	}
	for i := range len(value) {
		switch c := value[i]; {
		case strings.IndexByte(whiteSpace, c) >= 0 || c == ';':
			flush(i)
		case c == '(':
			flush(i)
			depth++
		case c == ')':
			flush(i)
			depth = max(depth-1, 0)
		}
	}
	flush(len(value))
	return words
}

// heloWord reads helo=name, and HELO name within a comment.
func heloWord(words []receivedWord, i int) (string, bool) {
	w := words[i]
	if !w.comment {
		return "", false
	}
	name, value, found := strings.Cut(w.text, "=")
	if found && isHelo(name) && value != "" {
		return value, true
	}
	if isHelo(w.text) && !saidByClient(words, i) && i+1 < len(words) && words[i+1].comment {
		return words[i+1].text, true
	}
	return "", false
}

func isHelo(word string) bool {
	return strings.EqualFold(word, "helo") || strings.EqualFold(word, "ehlo")
}

// saidByClient reports whether a word in a comment is HELO or the answer to
// ident (RFC 1413), which hold what the client says.
func saidByClient(words []receivedWord, i int) bool {
	if !words[i].comment {
		return false
	}
	if name, _, found := strings.Cut(words[i].text, "="); found {
		return !strings.Contains(name, "[")
	}
	return i > 0 && words[i-1].comment && isHelo(words[i-1].text) && !saidByClient(words, i-1)
}

// address reads 192.0.2.1, [192.0.2.1], [IPv6:2001:db8::1], user@[192.0.2.1]
// and [192.0.2.1]:25.
func address(word string) (ip netip.Addr, brackets bool) {
	if open := strings.IndexByte(word, '['); open >= 0 {
		word, _, _ = strings.Cut(word[open+1:], "]")
		brackets = true
	}
	if len(word) > 5 && strings.EqualFold(word[:5], "IPv6:") {
		word = word[5:]
	}
	ip, err := netip.ParseAddr(word)
	if err != nil {
		return netip.Addr{}, false
	}
	return ip.Unmap().WithZone(""), brackets
}
