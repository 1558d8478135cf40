package check

import (
	"context"
	"fmt"
	"slices"
	"time"

	"signpost/keystore/policy"
)

// Bulk is what Gmail ("Email sender guidelines") and Yahoo ("Sender best practices")
// ask of those who send much mail, as of 2026. How many recipients call it spam, which
// both want below 0.3 %, only they can tell.
type Bulk struct {
	// Signed is how many messages of the domain a running signpostd signed in a day, to
	// all receivers together; nil when none was asked. Since is when it began to count,
	// where that is later.
	Signed *uint64   `json:"signed_in_24_hours,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Volume string    `json:"volume,omitempty"` // what that says, in a sentence
	Asks   []Ask     `json:"asks"`
}

// Ask is one thing that they ask for.
type Ask struct {
	Code string  `json:"code"` // stays the same from version to version
	Name string  `json:"name"`
	Met  Outcome `json:"met"`
	What string  `json:"what"`         // what was seen
	Do   string  `json:"do,omitempty"` // what to do, where it is not met or not known
}

// bulkMessages is how many messages a day, to its accounts and from everything under one
// organizational domain, make a bulk sender in Gmail's eyes, once and for all. Yahoo names
// no number.
const bulkMessages = 5000

// Sender is what is known of a sending host beside the DNS.
type Sender struct {
	// TLS is smtp_tls_security_level of the Postfix that sends; empty when not known.
	TLS string
	// Message is one that the domain sends to many; nil for none.
	Message *Message
	// Signed returns how many messages of a domain a running signpostd signed in the last
	// 24 hours, and since when it counts. Nil when none is asked.
	Signed func(ctx context.Context, domain string) (uint64, time.Time, error)
}

// bulk puts together what the other parts of the check have found.
func (a *audit) bulk(ctx context.Context, passes Outcome) *Bulk {
	b := &Bulk{Asks: []Ask{a.askSPF(), a.askDKIM(), a.askDMARC(passes), a.askReverse(), a.askTLS()}}
	if m := a.Sender.Message; m != nil {
		b.Asks = append(b.Asks, a.askAligned(m))
	}
	b.Asks = append(b.Asks, a.askUnsubscribe())
	a.volume(ctx, b)
	return b
}

const asAbove = "see above"

func (a *audit) askSPF() Ask {
	ask := Ask{Code: "spf", Name: "SPF", Met: Yes, What: "it passes for every sending address"}
	if len(a.spf) == 0 {
		ask.Met, ask.What = NotKnown, "no sending address is known"
		ask.Do = "name the public address of the sending host with --from-ip"
	}
	for _, state := range a.spf {
		switch {
		case state.result.Result == policy.TempError && ask.Met == Yes:
			ask.Met, ask.What, ask.Do = NotKnown, "the DNS does not say whether it passes for "+state.addr.String(), asAbove
		case state.result.Result != policy.Pass && state.result.Result != policy.TempError:
			ask.Met, ask.Do = No, asAbove
			ask.What = fmt.Sprintf("it does not pass for %s (%s)", state.addr, state.result.Result)
		}
	}
	return ask
}

func (a *audit) askDKIM() Ask {
	ask := Ask{Code: "dkim", Name: "DKIM", Met: No, What: "no key signs its mail", Do: asAbove}
	if a.Keys == nil {
		ask.Met, ask.What = NotKnown, "the keys cannot be read"
	}
	for _, state := range a.keys {
		switch {
		case state.good:
			return Ask{Code: "dkim", Name: "DKIM", Met: Yes, What: "the key of selector " + state.key.Selector +
				" signs and is published"}
		case state.err != nil:
			ask.Met, ask.What = NotKnown, "the DNS does not say whether the key is published"
		case ask.Met == No:
			ask.What = "the key that signs is not published as it should be"
		}
	}
	return ask
}

// askDMARC: a policy, be it none, and SPF or DKIM that passes and is aligned.
func (a *audit) askDMARC(passes Outcome) Ask {
	ask := Ask{Code: "dmarc", Name: "DMARC", Met: passes, What: "mail passes DMARC"}
	switch passes {
	case No:
		ask.What, ask.Do = "mail will not pass DMARC", asAbove
	case NotKnown:
		ask.What, ask.Do = "whether mail passes DMARC is not known", asAbove
	}
	return ask
}

func (a *audit) askReverse() Ask {
	ask := Ask{Code: "ptr", Name: "PTR records", Met: Yes, What: "each sending address has a name that leads back to it"}
	if len(a.reverse) == 0 {
		ask.Met, ask.What = NotKnown, "no public sending address is known"
		ask.Do = "name the public address of the sending host with --from-ip"
	}
	for _, addr := range a.senders {
		switch met := a.reverse[addr]; {
		case met == NotKnown && ask.Met == Yes:
			ask.Met, ask.What, ask.Do = NotKnown, "the DNS does not say it of "+addr.String(), asAbove
		case met == No:
			ask.Met, ask.What, ask.Do = No, addr.String()+" has no name that leads back to it", asAbove
		}
	}
	return ask
}

// askTLS looks at what Postfix is set to, or at how a message came to its receiver.
func (a *audit) askTLS() Ask {
	ask := Ask{Code: "tls", Name: "TLS when sending"}
	const may = "smtp_tls_security_level = may"
	if m := a.Sender.Message; m != nil && (m.TLS || m.With != "") && slices.Contains(a.senders, m.Client) {
		ask.Met, ask.What = Yes, fmt.Sprintf("%s came from %s over TLS", m.File, m.Client)
		if !m.TLS {
			ask.Met, ask.Do = No, "have Postfix use TLS where it is offered: "+may
			ask.What = fmt.Sprintf("%s came from %s without TLS (with %s)", m.File, m.Client, m.With)
		}
		return ask
	}
	switch level := a.Sender.TLS; level {
	case "":
		ask.Met, ask.What = NotKnown, "the settings of the sending host are not known"
		ask.Do = "have postconf -xh smtp_tls_security_level say may or more there, or give a received message " +
			"with --message"
	case "none":
		ask.Met, ask.What = No, "Postfix sends without TLS (smtp_tls_security_level)"
		ask.Do = "set " + may + " in main.cf"
	default:
		ask.Met, ask.What = Yes, "Postfix sends over TLS (smtp_tls_security_level = "+level+")"
	}
	return ask
}

// volume asks signpostd how much is sent.
func (a *audit) volume(ctx context.Context, b *Bulk) {
	if a.Sender.Signed == nil {
		return
	}
	count, since, err := a.Sender.Signed(ctx, a.domain)
	if err != nil {
		b.Volume = "how many messages were signed is not known: " + err.Error()
		return
	}
	b.Signed = &count
	when := "in the last 24 hours"
	if !since.IsZero() {
		b.Since, when = since.UTC(), "since "+since.UTC().Format("2006-01-02 15:04 MST")
	}
	b.Volume = fmt.Sprintf("signpostd signed %d messages of %s %s, to all receivers together: ", count, a.domain, when)
	if count < bulkMessages {
		b.Volume += "fewer than the 5,000 to Gmail alone that make a bulk sender"
	} else {
		b.Volume += "with 5,000 a day of them to Gmail, the domain is a bulk sender"
	}
}
