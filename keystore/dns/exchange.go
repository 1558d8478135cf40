package dns

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/time/rate"
)

// udpSize is what we take in one datagram: it passes every network unbroken
// (RFC 9715, appendix A).
const udpSize = 1232

// response is a reply, and how it came.
type response struct {
	*dns.Msg
	tcp bool
}

// limited is exchange when its turn has come.
func limited(ctx context.Context, limit *rate.Limiter, server string, question dns.Question, recurse bool,
	patience time.Duration) (*response, *failure) {
	if limit != nil {
		if err := limit.Wait(ctx); err != nil {
			return nil, &failure{Timeout, err}
		}
	}
	return exchange(ctx, server, question, recurse, patience)
}

// exchange asks one server one question, by UDP, and by TCP when the answer
// is larger than a datagram. The reply has success or NXDOMAIN as its code.
func exchange(ctx context.Context, server string, question dns.Question, recurse bool,
	patience time.Duration) (*response, *failure) {
	query := new(dns.Msg)
	query.RecursionDesired = recurse
	query.Question = []dns.Question{question}
	query.SetEdns0(udpSize, false)
	return carry(ctx, server, query, patience)
}

// carry is exchange for a query that is made. Its id is set here.
func carry(ctx context.Context, server string, query *dns.Msg, patience time.Duration) (*response, *failure) {
	query.Id = dns.Id()
	reply, fail := transmit(ctx, "udp", server, query, patience)
	if fail == nil && reply.Rcode == dns.RcodeFormatError && reply.IsEdns0() == nil {
		// It does not know EDNS (RFC 6891, section 7).
		query.Extra = nil
		query.Id = dns.Id()
		reply, fail = transmit(ctx, "udp", server, query, patience)
	}
	tcp := fail == nil && reply.Truncated
	if tcp {
		query.Id = dns.Id()
		reply, fail = transmit(ctx, "tcp", server, query, patience)
		tcp := fail == nil && reply.Truncated
		if tcp {
			fail = &failure{Truncated, errors.New("it is cut off there too")}
		}
		if fail != nil {
			return nil, &failure{Truncated, fail.err}
		}
	}
	switch {
	case fail != nil:
		return nil, fail
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return nil, codeFailure(reply)
	}
	return &response{reply, tcp}, nil
}

// transmit sends a query and takes the reply to it: the id is checked by the
// library, the address by the socket, which is connected.
func transmit(ctx context.Context, network, server string, query *dns.Msg,
	patience time.Duration) (*dns.Msg, *failure) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := dns.Client{Net: network, Timeout: patience}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, networkFailure(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	reply, _, err := client.ExchangeWithConnContext(ctx, query, conn)
	if err != nil && reply != nil && reply.Id == query.Id && reply.Truncated && network == "udp" {
		return reply, nil // cut in the middle of a record
	}
	if err != nil {
		return nil, networkFailure(err)
	}
	asked := query.Question[0]
	if !reply.Response || len(reply.Question) != 1 ||
		!strings.EqualFold(reply.Question[0].Name, asked.Name) ||
		reply.Question[0].Qtype != asked.Qtype || reply.Question[0].Qclass != asked.Qclass {
		// Some servers leave the question out of an error.
		if !(reply.Response && len(reply.Question) == 0 && reply.Rcode != dns.RcodeSuccess &&
			reply.Rcode != dns.RcodeNameError) {
			return nil, &failure{Malformed, errors.New("it answers another question")}
		}
	}
	return reply, nil
}
