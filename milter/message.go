package milter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
	"signpost/milter/longline"
)

// message is the state of one message. It is used again for the next.
type message struct {
	signer      *dkim.Message
	signing     bool     // the signer has begun
	from        []string // the values of the From fields, as they came
	headerBytes int
	memory      *account
	trusted     bool // the client is; known with the first field that is looked at
	notice      bool // made by Postfix itself
	dropped     dropped
	decided     bool
	verdict     Verdict
	long        *LongLine     // what breaks the signature later
	body        longline.Body // looks for such a line
	size        int64         // of the body, in octets
	took        time.Duration
	signatures  [4]dkim.Signature // RSA and Ed25519, of the author domain and the relay
	out         []byte            // room for the answer
}

// dropped says why nothing is kept of the header.
type dropped uint8

const (
	kept     dropped = iota
	tooLarge         // over the bound for one message
	noMemory         // over that for all messages in transit
)

func (m *message) reset() {
	m.drop(kept)
	*m = message{signer: m.signer, from: m.from, out: m.out}
}

// drop forgets the header, and keeps no memory that is more than usual.
func (m *message) drop(why dropped) {
	m.signer.Reset()
	clear(m.from)
	m.from = m.from[:0]
	if cap(m.from) > 16 {
		m.from = nil
	}
	m.dropped = why
}

// fieldCost is what a header field takes beside its octets, so that the bound
// holds for a great many short ones too.
const fieldCost = 64

// field takes a header field: the signer keeps what is signed until the key is
// known. A bare value lacks the space after the colon. Of a message that will
// not be signed whatever it says, only the author is of interest.
func (m *message) field(s *Server, client Client, name, value []byte, bare bool) {
	from := isFrom(name) || hidesFrom(value)
	if m.headerBytes == 0 {
		m.trusted = s.Rules.trusts(client)
	}
	if m.dropped != kept || !m.trusted && !from {
		return
	}
	m.headerBytes += len(name) + len(value) + fieldCost
	if m.headerBytes > s.limits.HeaderBytes {
		m.drop(tooLarge)
		return
	}
	if m.headerBytes > reserve && !m.memory.take(m.grows(name, value, from, bare)) {
		m.drop(noMemory)
		return
	}
	if from {
		m.from = append(m.from, string(value))
	}
	if bare {
		value = append([]byte{' '}, value...)
	}
	if m.trusted {
		m.signer.Field(name, value)
		m.longField(s, name, value)
	}
}

// grows returns about how much memory a field takes. That of the author is copied,
// and copied again in being parsed.
func (m *message) grows(name, value []byte, from, bare bool) (size int) {
	if m.trusted {
		size = m.signer.Grows(name, value)
	}
	if from {
		size += 4 * len(value)
	}
	if bare {
		size += len(value)
	}
	return size
}

// decide chooses the keys when the header is complete.
func (m *message) decide(s *Server, client Client) {
	if m.decided {
		return
	}
	m.decided, m.notice = true, client.isNotice(m.from)
	m.verdict = s.Rules.Decide(client, m.from, s.Keys)
	if m.verdict.Keyless && s.Keyless != nil {
		s.Keyless(m.verdict.Author)
	}
	if m.dropped != kept && m.verdict.Reason != UntrustedClient {
		m.verdict = Verdict{Reason: m.dropped.reason(), Action: TempFail, Err: m.dropped.err(&s.limits)}
	}
	if m.headerBytes > reserve {
		m.verdict.Author = strings.Clone(m.verdict.Author) // not a part of a large field
	}
	if len(m.verdict.Keys) == 0 {
		return
	}
	signatures := m.signatures[:0]
	for _, key := range m.verdict.Keys {
		signatures = append(signatures, dkim.Signature{Domain: key.Domain, Selector: key.Selector, Key: key.Signer})
	}
	err := m.signer.Begin(signatures...)
	if n := m.verdict.required(); err != nil && n < len(signatures) {
		m.verdict.withoutAlso(err)
		err = m.signer.Begin(signatures[:n]...)
	}
	if err != nil {
		m.fail(err)
		return
	}
	m.body.Rule = s.lines.body
	m.signing = true
}

func (d dropped) reason() Reason {
	if d == noMemory {
		return MemoryLimit
	}
	return HeaderTooLarge
}

func (d dropped) err(limits *Limits) error {
	if d == noMemory {
		return finding.WithHint(
			fmt.Errorf("the headers in transit take all of the %d bytes that they may", limits.Memory),
			"raise this limit, or find out who sends such large headers")
	}
	return finding.WithHint(fmt.Errorf("the header has more than %d bytes", limits.HeaderBytes),
		"raise this limit, or lower header_size_limit of Postfix")
}

// write hashes a part of the body.
func (m *message) write(chunk []byte) {
	m.size += int64(len(chunk))
	if m.signing {
		_, _ = m.signer.Write(chunk) // never fails
		m.body.Write(chunk)
	}
}

// sign returns the values of the DKIM-Signature fields, one per key; none when
// the message is not signed.
func (m *message) sign(s *Server) []string {
	if !m.signing {
		return nil
	}
	m.longBody()
	if m.long != nil && s.Rules.LongLines != Accept && !m.notice {
		m.verdict = Verdict{Reason: LineTooLong, Action: s.Rules.LongLines, Author: m.verdict.Author, Err: m.long.err()}
		return nil
	}
	values, err := m.makeSignatures(s)
	if n := m.verdict.required(); err != nil && n < len(values) && !slices.Contains(values[:n], "") {
		m.verdict.withoutAlso(err)
		values, err = values[:n], nil
	}
	if err != nil {
		m.fail(err)
		return nil
	}
	return values
}

// makeSignatures makes no more at once than there are processors: each would only take
// longer. A fault takes no processor from the other sessions.
func (m *message) makeSignatures(s *Server) ([]string, error) {
	s.processors <- struct{}{}
	defer func() { <-s.processors }()
	start := time.Now()
	defer func() { m.took = time.Since(start) }()
	return m.signer.Sign(start)
}

func (m *message) fail(err error) {
	m.verdict = Verdict{Reason: SignFailed, Action: TempFail, Author: m.verdict.Author, Err: err}
	m.signing = false
}

// record counts the message and writes its line in the log. The words for a
// signed one are OpenDKIM's, for the sake of those who search for them.
func (s *Server) record(m *message, client Client, queueID string) {
	if queueID == HealthQueueID {
		return
	}
	v := m.verdict
	if s.Observe != nil {
		s.Observe(&Outcome{Verdict: v, Client: client, QueueID: queueID, Took: m.took, Size: m.size, Long: m.long})
	}
	s.counters.message(v.Reason)
	s.also.note(&v, s.Rules.Also, s.log)
	if queueID == "" {
		queueID = "NOQUEUE"
	}
	attrs := []any{"queue", queueID, "client", client.String(), "from", v.Author}
	if v.Reason == Signed {
		var added []string
		for _, key := range v.Keys {
			added = append(added, fmt.Sprintf("(s=%s, d=%s)", key.Selector, key.Domain))
		}
		s.log.Info(queueID+": DKIM-Signature field added "+strings.Join(added, ", "), attrs...)
		if m.long != nil {
			s.log.Warn("the signature breaks on delivery: a line is too long", append(attrs, m.long.attrs()...)...)
		}
		return
	}
	attrs = append(attrs, "reason", string(v.Reason))
	why := "for it would go out unsigned"
	switch {
	case v.Reason == LineTooLong:
		why = "for a line is too long"
		attrs = append(attrs, m.long.attrs()...)
	case v.Reason == LoginMismatch:
		why = "for its login does not own the address in From"
		attrs = append(attrs, "login", client.Login, finding.Attr(v.Err))
	case v.Err != nil:
		attrs = append(attrs, finding.Attr(v.Err))
	}
	switch v.Action {
	case TempFail:
		s.log.Error(queueID+": deferred, "+why, attrs...)
	case Reject:
		s.log.Error(queueID+": refused, "+why, attrs...)
	default:
		s.log.Info(queueID+": not signed", attrs...)
	}
}

// Outcome is what became of a message.
type Outcome struct {
	Verdict
	Client  Client
	QueueID string
	Took    time.Duration // making the signatures
	Size    int64         // of the body, in octets
	Long    *LongLine     // that breaks the signature later, nil for none
}

// Try does with a message what a session of an MTA would, its line in the log
// included, and returns the verdict and the values of the DKIM-Signature
// fields as they would stand in the message. The body has CRLF line ends.
func (s *Server) Try(client Client, header []dkim.Field, body []byte, queueID string) (Verdict, []string) {
	m := message{signer: s.recipe.NewMessage()}
	for _, field := range header {
		m.field(s, client, []byte(field.Name), []byte(field.Value), false)
	}
	m.decide(s, client)
	m.write(body)
	values := m.sign(s)
	s.record(&m, client, queueID)
	return m.verdict, values
}
