// Package origin finds out whether the mail that reports come in is from whom it says: by its DKIM
// signature, and by the DMARC policy of the domain in its From field.
package origin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/mail"
	"strings"
	"sync"
	"time"

	"signpost/keystore/dns"
	"signpost/keystore/report"
	"signpost/milter/verify"
)

// Judge judges mail. Several goroutines may use it at once.
type Judge struct {
	source  dns.Source
	now     time.Time
	buffers sync.Pool // of *bufio.Reader, as large as what reads messages takes for one
}

// NewJudge returns one that asks a resolver, which should be one that remembers.
func NewJudge(resolver *dns.Resolver, now time.Time) *Judge {
	return &Judge{
		source:  &patient{Source: resolver, left: mostWait, names: make(map[string]bool)},
		now:     now,
		buffers: sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }},
	}
}

// Origin says who sent a message that has a report in it. A DNS that does not answer proves
// nothing, nor does a key that was taken out of it since.
func (j *Judge) Origin(ctx context.Context, message []byte) report.Origin {
	buffer := j.buffers.Get().(*bufio.Reader)
	defer j.buffers.Put(buffer)
	buffer.Reset(bytes.NewReader(message))
	m, err := verify.Read(buffer)
	if err != nil {
		return report.Origin{Proof: report.Unproven, Why: "its mail cannot be judged: " + err.Error()}
	}
	judged := m.Judge(ctx, verify.Options{Source: j.source, Now: arrival(m, j.now), Brief: true})
	origin := report.Origin{Domain: judged.DMARC.AuthorDomain}
	origin.Proof, origin.Why = weigh(judged)
	return origin
}

// weigh says what a judgement proves. That SPF passes proves nothing: the client is as a Received
// field has it, which may be another one's where mail comes by a proxy.
func weigh(j *verify.Judgement) (report.Proof, string) {
	from := j.DMARC.AuthorDomain
	var broken, gone, open, silent *verify.Signature
	for _, s := range j.Signatures {
		aligned := s.Aligned || s.Domain == from
		switch {
		case s.Result == verify.Pass && aligned && s.Whole():
			return report.Proven, ""
		case s.Result == verify.Pass && aligned:
			open = s
		case !s.Related(from):
		case s.Result == verify.TempError:
			silent = s
		case s.Broken():
			broken = s
		case s.KeyGone():
			gone = s
		}
	}
	spf := j.SPF.Skipped == ""
	switch {
	case open != nil:
		return report.Unproven, "its mail may have been added to (l=)"
	case silent != nil:
		return report.Unproven, silent.Reason
	case broken != nil && j.DMARC.SPF == "":
		return report.Refuted, fmt.Sprintf("the signature of %s is broken: %s", broken.Domain, broken.Reason)
	case gone != nil && !spf:
		return report.Unproven, gone.Reason
	case j.DMARC.Disposition == "reject":
		return report.Refuted, fmt.Sprintf("%s rejects such mail (DMARC): %s", from, j.DMARC.Reason)
	case broken != nil:
		return report.Unproven, "only SPF passes: " + broken.Reason
	case gone != nil:
		return report.Unproven, gone.Reason
	case j.DMARC.Result == verify.PermError, j.DMARC.Result == verify.TempError:
		return report.Unproven, j.DMARC.Reason
	}
	return report.Unproven, "no signature of " + from + " in its mail"
}

// arrival is when a message came, by the host that received it last: signatures expire within days.
func arrival(m *verify.Message, now time.Time) time.Time {
	if fields := m.Values("received"); len(fields) > 0 {
		date := fields[0][strings.LastIndexByte(fields[0], ';')+1:]
		if at, err := mail.ParseDate(strings.TrimSpace(date)); err == nil && at.Before(now) {
			return at
		}
	}
	return now
}
