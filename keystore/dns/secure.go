package dns

import (
	"context"
	"errors"

	"github.com/miekg/dns"
)

// Security is what a resolver makes of the DNSSEC signatures over an answer
// (RFC 4033, section 5), as far as it tells.
type Security string

// The ways in which an answer can be secure, or not.
const (
	// Validated: the resolver says that it found the signatures good (AD).
	Validated Security = "validated"
	// Unproven: the name is not signed, or the resolver does not validate.
	Unproven Security = "unproven"
	// Bogus: the resolver keeps the answer back, and has it when it is asked not
	// to validate (CD).
	Bogus Security = "bogus"
)

// Security asks the resolvers for what they make of the signatures over the records
// of a type at a name. Only they are asked, never name servers. The error is a
// *LookupError: there is no answer, with validation or without.
func (r *Resolver) Security(ctx context.Context, name string, qtype uint16) (Security, error) {
	question, err := questionFor(name, qtype)
	if err != nil {
		return "", err
	}
	return once(ctx, r.memory, asked{question, security}, func() (Security, error) {
		return r.security(ctx, question)
	})
}

func (r *Resolver) security(ctx context.Context, question dns.Question) (Security, error) {
	reply, err := r.secure(ctx, question, false)
	if err == nil {
		if reply.AuthenticatedData {
			return Validated, nil
		}
		return Unproven, nil
	}
	var failed *LookupError
	if !errors.As(err, &failed) || failed.Kind != ServFail {
		return "", err
	}
	if _, unchecked := r.secure(ctx, question, true); unchecked != nil {
		return "", err
	}
	// A name server may have come back in between.
	if reply, err := r.secure(ctx, question, false); err == nil {
		if reply.AuthenticatedData {
			return Validated, nil
		}
		return Unproven, nil
	} else if !errors.As(err, &failed) || failed.Kind != ServFail {
		return "", err
	}
	return Bogus, nil
}

// secure asks for an answer with its signatures, so that it says whether they are
// good, or for one that is not validated.
func (r *Resolver) secure(ctx context.Context, question dns.Question, unchecked bool) (*response, error) {
	var failed error
	for range max(r.Attempts, 1) {
		for _, server := range r.Servers {
			reply, fail := (*response)(nil), r.memory.dead(server)
			if fail == nil && r.Limit != nil {
				if err := r.Limit.Wait(ctx); err != nil {
					fail = &failure{Timeout, err}
				}
			}
			if fail == nil {
				query := new(dns.Msg)
				query.RecursionDesired, query.CheckingDisabled = true, unchecked
				query.AuthenticatedData = !unchecked // RFC 6840, section 5.7
				query.Question = []dns.Question{question}
				query.SetEdns0(udpSize, true)
				reply, fail = carry(ctx, server, query, r.Patience)
			}
			if fail == nil && isReferral(reply) {
				fail = &failure{kind: Lame}
			}
			if fail == nil {
				return reply, nil
			}
			if err := (&LookupError{Plain(question.Name), dns.TypeToString[question.Qtype], server, fail.kind,
				fail.err}); tellsMore(err, failed) {
				failed = err
			}
			if ctx.Err() != nil {
				return nil, failed
			}
		}
	}
	return nil, failed
}
