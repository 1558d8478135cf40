package milter

import (
	"fmt"
	"strings"
	"time"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
)

// message is the state of one message. It is used again for the next.
type message struct {
	signer      *dkim.Message
	signing     bool     // the signer has begun
	from        []string // the values of the From fields, as they came
	headerBytes int
	trusted     bool // the client is; known with the first field that is looked at
	tooLarge    bool
	decided     bool
	verdict     Verdict
	size        int64 // of the body, in octets
	took        time.Duration
	signatures  [2]dkim.Signature // RSA and Ed25519
}

func (m *message) reset() {
	m.signer.Reset()
	*m = message{signer: m.signer, from: m.from[:0]}
}

// fieldCost is what a header field takes beside its octets, so that the bound
// holds for a great many short ones too.
const fieldCost = 64

// field takes a header field: the signer keeps what is signed until the key is
// known. A bare value lacks the space after the colon. Of a message that will
// not be signed whatever it says, only the author is of interest.
func (m *message) field(s *Server, client Client, name, value []byte, bare bool) {
	from := isFrom(name)
	if m.headerBytes == 0 {
		m.trusted = s.Rules.trusts(client)
	}
	if m.tooLarge || !m.trusted && !from {
		return
	}
	m.headerBytes += len(name) + len(value) + fieldCost
	if m.headerBytes > s.limits.HeaderBytes {
		m.tooLarge, m.from = true, m.from[:0]
		m.signer.Reset()
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
	}
}

// decide chooses the keys when the header is complete.
func (m *message) decide(s *Server, client Client) {
	if m.decided {
		return
	}
	m.decided = true
	m.verdict = s.Rules.Decide(client, m.from, s.Keys)
	if m.tooLarge && m.verdict.Reason != UntrustedClient {
		m.verdict = Verdict{Reason: HeaderTooLarge, TempFail: true, Err: finding.WithHint(
			fmt.Errorf("the header has more than %d bytes", s.limits.HeaderBytes),
			"raise this limit, or lower header_size_limit of Postfix")}
	}
	if len(m.verdict.Keys) == 0 {
		return
	}
	signatures := m.signatures[:0]
	for _, key := range m.verdict.Keys {
		signatures = append(signatures, dkim.Signature{Domain: key.Domain, Selector: key.Selector, Key: key.Signer})
	}
	if err := m.signer.Begin(signatures...); err != nil {
		m.fail(err)
		return
	}
	m.signing = true
}

// write hashes a part of the body.
func (m *message) write(chunk []byte) {
	m.size += int64(len(chunk))
	if m.signing {
		_, _ = m.signer.Write(chunk) // never fails
	}
}

// sign returns the values of the DKIM-Signature fields, one per key; none when
// the message is not signed. No more signatures are made at once than there are
// processors: each would only take longer.
func (m *message) sign(s *Server) []string {
	if !m.signing {
		return nil
	}
	s.processors <- struct{}{}
	start := time.Now()
	values, err := m.signer.Sign(start)
	m.took = time.Since(start)
	<-s.processors
	if err != nil {
		m.fail(err)
		return nil
	}
	return values
}

func (m *message) fail(err error) {
	m.verdict = Verdict{Reason: SignFailed, TempFail: true, Author: m.verdict.Author, Err: err}
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
		s.Observe(&Outcome{Verdict: v, Client: client, QueueID: queueID, Took: m.took, Size: m.size})
	}
	s.counters.message(v.Reason)
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
		return
	}
	attrs = append(attrs, "reason", string(v.Reason))
	if v.Err != nil {
		attrs = append(attrs, finding.Attr(v.Err))
	}
	if v.TempFail {
		s.log.Error(queueID+": deferred, for it would go out unsigned", attrs...)
		return
	}
	s.log.Info(queueID+": not signed", attrs...)
}

// Outcome is what became of a message.
type Outcome struct {
	Verdict
	Client  Client
	QueueID string
	Took    time.Duration // making the signatures
	Size    int64         // of the body, in octets
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
