package check

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Message is what was found in a message, by those who read messages.
type Message struct {
	File string // where it was read from
	From string // the author domain, in A-labels; empty where there is not one
	// Client and With are from the Received field of the host that took it from outside:
	// the address that it came from, the protocol, and whether that was over TLS. Without
	// such a field they are zero.
	Client netip.Addr
	With   string
	TLS    bool

	Unsubscribe     []string // the values of List-Unsubscribe fields
	UnsubscribePost []string // those of List-Unsubscribe-Post
	Signatures      []Signature
	// Aligned says whether SPF or a signature passes for the author domain.
	Aligned Outcome
}

// Signature is a DKIM signature of a message.
type Signature struct {
	Domain string
	Signed []string // the names in h=, in lower case
	Good   Outcome
	Why    string // it is not
}

// askAligned: DMARC of the message itself.
func (a *audit) askAligned(m *Message) Ask {
	ask := Ask{Code: "message-aligned", Name: "From aligned", Met: m.Aligned}
	switch {
	case m.From == "":
		ask.Met, ask.What, ask.Do = No, m.File+" does not have one author domain in From", "send it with one From field"
	case m.From != a.domain:
		ask.Met, ask.What = NotKnown, fmt.Sprintf("%s is from %s, not from %s", m.File, m.From, a.domain)
		ask.Do = "give a message of " + a.domain + ", or check " + m.From
	case m.Aligned == Yes:
		ask.What = m.File + " is authenticated by a domain that is aligned with its From"
	case len(m.Signatures) == 0 && !m.Client.IsValid():
		ask.Met, ask.What = NotKnown, m.File+" has not been sent: it is not signed"
		ask.Do = "give it as it was received"
	case m.Aligned == NotKnown:
		ask.What, ask.Do = "whether "+m.File+" is authenticated is not known", "see signpost verify "+m.File
	default:
		ask.What = fmt.Sprintf("nothing that is aligned with %s authenticates %s", a.domain, m.File)
		ask.Do = "see signpost verify " + m.File
	}
	return ask
}

// oneClick is both fields of RFC 8058, as they should be.
const oneClick = "List-Unsubscribe: <https://...> and List-Unsubscribe-Post: List-Unsubscribe=One-Click"

// askUnsubscribe: one click ends a subscription (RFC 8058).
func (a *audit) askUnsubscribe() Ask {
	ask := Ask{Code: "unsubscribe", Name: "one-click unsubscribe", Met: No}
	m := a.Sender.Message
	if m == nil {
		ask.Met, ask.What = NotKnown, "no message was given"
		ask.Do = "give a received newsletter with --message; receipts and the like need none"
		return ask
	}
	if len(m.Unsubscribe) == 0 && len(m.UnsubscribePost) == 0 {
		ask.What = m.File + " has no List-Unsubscribe field"
		ask.Do = "unless it is a receipt or the like, have the program that makes it add " + oneClick
		return ask
	}
	if what := unsubscribeFault(m); what != "" {
		ask.What, ask.Do = m.File+": "+what, "have the program that makes the message write "+oneClick
		return ask
	}
	a.askSigned(m, &ask)
	return ask
}

// unsubscribeFault says what is wrong with the fields, or "".
func unsubscribeFault(m *Message) string {
	switch {
	case len(m.Unsubscribe) == 0:
		return "it has List-Unsubscribe-Post, and no List-Unsubscribe"
	case len(m.Unsubscribe) > 1:
		return fmt.Sprintf("it has %d List-Unsubscribe fields", len(m.Unsubscribe))
	}
	var secure, plain int
	for _, uri := range bracketed(m.Unsubscribe[0]) {
		parsed, err := url.Parse(uri)
		switch {
		case err != nil:
		case strings.EqualFold(parsed.Scheme, "https") && parsed.Hostname() != "":
			secure++
		case strings.EqualFold(parsed.Scheme, "http"):
			plain++
		}
	}
	switch {
	case secure == 0 && plain > 0:
		return "List-Unsubscribe has an http: address, and https: is asked for"
	case secure == 0:
		return "List-Unsubscribe has no https: address in angle brackets"
	case secure+plain > 1:
		return "List-Unsubscribe has several addresses on the web, and one is asked for"
	case len(m.UnsubscribePost) == 0:
		return "it has no List-Unsubscribe-Post, so nobody unsubscribes by one click"
	case len(m.UnsubscribePost) > 1:
		return fmt.Sprintf("it has %d List-Unsubscribe-Post fields", len(m.UnsubscribePost))
	}
	if value := strings.TrimSpace(m.UnsubscribePost[0]); !strings.EqualFold(value, "List-Unsubscribe=One-Click") {
		return fmt.Sprintf("List-Unsubscribe-Post is %q, not List-Unsubscribe=One-Click", shortened(value))
	}
	return ""
}

// bracketed returns the addresses in angle brackets (RFC 2369, section 2), without the
// white space of folded lines.
func bracketed(value string) (uris []string) {
	for range mostNames {
		_, rest, found := strings.Cut(value, "<")
		uri, rest, closed := strings.Cut(rest, ">")
		if !found || !closed {
			break
		}
		uris, value = append(uris, strings.Join(strings.Fields(uri), "")), rest
	}
	return uris
}

// askSigned wants a good signature over both fields (RFC 8058, section 4).
func (a *audit) askSigned(m *Message, ask *Ask) {
	if len(m.Signatures) == 0 {
		ask.Met, ask.What = NotKnown, m.File+" has the fields, and is not signed yet"
		ask.Do = "give it as it was received: a DKIM signature must cover both fields"
		return
	}
	var good, unknown bool
	missing := ""
	for _, s := range m.Signatures {
		switch s.Good {
		case NotKnown:
			unknown = true
		case Yes:
			good = true
			uncovered := slices.DeleteFunc([]string{"List-Unsubscribe", "List-Unsubscribe-Post"},
				func(name string) bool { return slices.Contains(s.Signed, strings.ToLower(name)) })
			if len(uncovered) == 0 {
				ask.Met, ask.What = Yes, fmt.Sprintf("%s has it, signed by %s", m.File, s.Domain)
				return
			}
			missing = fmt.Sprintf("the signature of %s does not cover %s", s.Domain, strings.Join(uncovered, " and "))
		}
	}
	switch {
	case unknown:
		ask.Met, ask.What, ask.Do = NotKnown, "whether the signature of "+m.File+" is good is not known",
			"see signpost verify "+m.File
	case good:
		ask.What = m.File + ": " + missing
		ask.Do = "sign both fields, as signpostd does without --sign-headers"
	default:
		ask.What, ask.Do = m.File+": no signature is good: "+m.Signatures[0].Why, "see signpost verify "+m.File
	}
}
