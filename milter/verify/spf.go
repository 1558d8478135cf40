package verify

import (
	"context"

	"signpost/keystore/policy"
)

// SPF is the result of the check of the client and the sender.
type SPF struct {
	policy.Evaluation          // empty when Skipped
	Envelope          Envelope // that was used
	// From says where what was not given of the envelope was found.
	From []string
	// Skipped says why there was no check.
	Skipped string
	// Aligned says that the domain counts for the author domain.
	Aligned bool
}

func (j *Judgement) judgeSPF(ctx context.Context, m *Message, o Options) {
	s := &j.SPF
	s.Envelope, s.From = o.Envelope.complete(&m.text)
	e := s.Envelope
	switch {
	case !e.IP.IsValid():
		s.Skipped = "not checked: no Received field names the client"
	case e.MailFrom == "":
		s.Skipped = "not checked: no Return-Path field has MAIL FROM"
	default:
		sender := e.MailFrom
		if sender == NullSender {
			sender = ""
		}
		s.Evaluation = policy.SPF(ctx, o.Source, e.IP, e.Helo, sender)
		if o.Offline && s.Result == policy.None {
			s.Evaluation = policy.Evaluation{}
			s.Skipped = "not looked up: there is no SPF record at hand"
		}
	}
}
