package milter

import (
	"fmt"
	"strings"
	"time"

	"signpost/milter/dkim"
)

// message is the state of one message.
type message struct {
	header      []dkim.Field
	headerBytes int
	tooLarge    bool
	decided     bool
	verdict     Verdict
	signer      *dkim.Message // nil when nothing is signed
}

// fieldCost is what a header field takes beside its octets, so that the bound
// holds for a great many short ones too.
const fieldCost = 64

// ignores reports whether a header field will not be kept. Of a message that
// will not be signed whatever it says, only the author is of interest.
func (m *message) ignores(s *Server, client Client, name string) bool {
	return m.tooLarge || !s.Rules.trusts(client) && !isFrom(name)
}

// add keeps a header field that is not to be ignored.
func (m *message) add(s *Server, field dkim.Field) {
	m.headerBytes += len(field.Name) + len(field.Value) + fieldCost
	if m.headerBytes > s.limits.HeaderBytes {
		m.tooLarge, m.header = true, nil
		return
	}
	m.header = append(m.header, field)
}

// decide chooses the keys when the header is complete. Nothing of the header is
// needed after that.
func (m *message) decide(s *Server, client Client) {
	if m.decided {
		return
	}
	m.decided = true
	m.verdict = s.Rules.Decide(client, m.header, s.Keys())
	if m.tooLarge && m.verdict.Reason != UntrustedClient {
		m.verdict = Verdict{Reason: HeaderTooLarge, TempFail: true, Err: fmt.Errorf(
			"the header has more than %d bytes; hint: raise --max-header-bytes", s.limits.HeaderBytes)}
	}
	if len(m.verdict.Keys) > 0 {
		signatures := make([]dkim.Signature, len(m.verdict.Keys))
		for i, key := range m.verdict.Keys {
			signatures[i] = dkim.Signature{Domain: key.Domain, Selector: key.Selector, Key: key.Signer, Policy: s.Policy}
		}
		signer, err := dkim.NewMessage(m.header, signatures)
		if err != nil {
			m.fail(err)
		}
		m.signer = signer
	}
	m.header = nil
}

// write hashes a part of the body.
func (m *message) write(chunk []byte) {
	if m.signer != nil {
		_, _ = m.signer.Write(chunk) // never fails
	}
}

// sign returns the values of the DKIM-Signature fields, one per key; none when
// the message is not signed.
func (m *message) sign() []string {
	if m.signer == nil {
		return nil
	}
	values, err := m.signer.Sign(time.Now())
	if err != nil {
		m.fail(err)
		return nil
	}
	return values
}

func (m *message) fail(err error) {
	m.verdict = Verdict{Reason: SignFailed, TempFail: true, Author: m.verdict.Author, Err: err}
	m.signer = nil
}

// record counts the message and writes its line in the log. The words for a
// signed one are OpenDKIM's, for the sake of those who search for them.
func (s *Server) record(v Verdict, client Client, queueID string) {
	if queueID == probeQueueID {
		return
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
		attrs = append(attrs, "err", v.Err)
	}
	if v.TempFail {
		s.log.Error(queueID+": refused for now, so that it does not go out unsigned", attrs...)
		return
	}
	s.log.Info(queueID+": not signed", attrs...)
}

// Try does with a message what a session of an MTA would, its line in the log
// included, and returns the verdict and the values of the DKIM-Signature
// fields as they would stand in the message. The body has CRLF line ends.
func (s *Server) Try(client Client, header []dkim.Field, body []byte, queueID string) (Verdict, []string) {
	var m message
	for _, field := range header {
		if !m.ignores(s, client, field.Name) {
			m.add(s, field)
		}
	}
	m.decide(s, client)
	m.write(body)
	values := m.sign()
	s.record(m.verdict, client, queueID)
	return m.verdict, values
}
