// Package dns looks records up, from a resolver or from each name server of a zone,
// and says whether the record of a key is there.
//
// Only a clear answer counts as "not published". Whatever else happens is a
// LookupError, and each way of failing is told apart.
package dns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/time/rate"

	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// Resolver asks resolvers, or a name server as if it were one. It may be used
// by several goroutines at once; the fields must not change then.
type Resolver struct {
	Servers  []string      // host:port, asked in turn
	Patience time.Duration // how long to wait for one reply
	Attempts int           // how often to go through Servers
	Limit    *rate.Limiter // of queries to all servers together; nil for none

	memory *memory // nil: every lookup asks
	direct *direct // nil: nothing goes to name servers
}

// What resolv.conf(5) says where the file does not.
const (
	defaultPatience = 5 * time.Second
	defaultAttempts = 2
	maxAttempts     = 5
	maxServers      = 3 // the rest is ignored
)

// System returns a resolver that asks the servers of /etc/resolv.conf. Names
// are always taken as complete: search lists are not used.
func System() (*Resolver, error) { return fromFile("/etc/resolv.conf") }

func fromFile(path string) (*Resolver, error) {
	config, err := dns.ClientConfigFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = &dns.ClientConfig{Port: "53"}, nil
	}
	if err != nil {
		return nil, finding.WithHint(fmt.Errorf("reading %s: %w", path, err),
			"name a resolver with --resolver")
	}
	r := &Resolver{Patience: defaultPatience, Attempts: defaultAttempts}
	if config.Timeout > 0 {
		r.Patience = time.Duration(config.Timeout) * time.Second
	}
	if config.Attempts > 0 {
		r.Attempts = min(config.Attempts, maxAttempts)
	}
	if len(config.Servers) == 0 {
		config.Servers = []string{"127.0.0.1"} // resolv.conf(5)
	}
	for _, server := range config.Servers[:min(len(config.Servers), maxServers)] {
		r.Servers = append(r.Servers, net.JoinHostPort(server, config.Port))
	}
	return r, nil
}

// At returns a resolver that asks one server: an address or a host name, with
// or without a port, IPv6 addresses in brackets when a port follows.
func At(server string) (*Resolver, error) {
	host, port := server, "53"
	if _, err := netip.ParseAddr(server); err != nil && strings.ContainsAny(server, ":[]") {
		if strings.HasPrefix(server, "[") && strings.HasSuffix(server, "]") {
			host = server[1 : len(server)-1]
		} else if host, port, err = net.SplitHostPort(server); err != nil {
			return nil, finding.WithHint(fmt.Errorf("invalid resolver address %q", server),
				"give it as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, finding.WithHint(fmt.Errorf("invalid resolver address %q: invalid port %q", server, port),
			"give it as 192.0.2.1 or 192.0.2.1:53")
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if _, ok := dns.IsDomainName(host); !ok || host == "" || strings.ContainsAny(host, " /") {
			return nil, finding.WithHint(fmt.Errorf("invalid resolver address %q", server),
				"give it as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")
		}
	}
	return &Resolver{Servers: []string{net.JoinHostPort(host, port)}, Patience: defaultPatience,
		Attempts: defaultAttempts}, nil
}

// Remembering returns a resolver that asks each question only once, for a run
// in which the same names come up again and again. Failures are remembered too:
// within a run, what could not be found out stays unknown.
func (r *Resolver) Remembering() *Resolver {
	c := *r
	c.memory = newMemory()
	return &c
}

// Lookup returns the records of one type at name, which is absolute with or
// without its final dot. CNAMEs are followed. The error is a *LookupError.
func (r *Resolver) Lookup(ctx context.Context, name string, qtype uint16) (*Answer, error) {
	question, err := questionFor(name, qtype)
	if err != nil {
		return nil, err
	}
	return once(ctx, r.memory, asked{question, records}, func() (*Answer, error) { return r.lookup(ctx, question) })
}

// TXT returns the TXT records at name: none when there are none.
func (r *Resolver) TXT(ctx context.Context, name string) ([]record.TXT, error) {
	answer, err := r.Lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	return answer.TXT(), nil
}

func questionFor(name string, qtype uint16) (dns.Question, error) {
	if _, ok := dns.IsDomainName(name); !ok || name == "" || strings.Contains(name, "..") {
		return dns.Question{}, &LookupError{Name: name, Type: dns.TypeToString[qtype], Kind: BadName}
	}
	return dns.Question{Name: strings.ToLower(dns.Fqdn(name)), Qtype: qtype, Qclass: dns.ClassINET}, nil
}

// lookup asks, and asks again where a name server left a CNAME for us to follow.
func (r *Resolver) lookup(ctx context.Context, question dns.Question) (*Answer, error) {
	answer := newAnswer(question)
	for {
		next := dns.Question{Name: dns.Fqdn(answer.Owner()), Qtype: question.Qtype, Qclass: question.Qclass}
		ask, asksOthers := r.ask, true
		if r.direct.covers(answer.Owner()) {
			ask, asksOthers = r.direct.ask, false
		}
		reply, server, err := ask(ctx, next)
		if err != nil {
			var failed *LookupError
			if errors.As(err, &failed) && len(answer.CNAMEs) > 0 {
				err = &LookupError{answer.Name, failed.Type, failed.Server, failed.Kind,
					fmt.Errorf("following its CNAME: %w", err)}
			}
			return nil, err
		}
		answer.Server = server
		more, err := answer.add(reply)
		if err != nil {
			return nil, err
		}
		if !more || asksOthers && reply.RecursionAvailable {
			answer.TTL = max(answer.TTL, 0)
			return answer, nil
		}
	}
}

// ask goes through the servers until one answers.
func (r *Resolver) ask(ctx context.Context, question dns.Question) (*response, string, error) {
	name, qtype := Plain(question.Name), dns.TypeToString[question.Qtype]
	var failed error
	for range max(r.Attempts, 1) {
		for _, server := range r.Servers {
			if ctx.Err() != nil {
				if failed == nil {
					failed = &LookupError{name, qtype, "", Timeout, context.Cause(ctx)}
				}
				return nil, "", failed
			}
			reply, fail := (*response)(nil), r.memory.dead(server)
			if fail == nil {
				reply, fail = limited(ctx, r.Limit, server, question, true, r.Patience)
				if ctx.Err() == nil {
					r.memory.heard(server, fail)
				}
			}
			if fail == nil && isReferral(reply) {
				fail = &failure{kind: Lame}
			}
			if fail == nil {
				return reply, server, nil
			}
			if err := (&LookupError{name, qtype, server, fail.kind, fail.err}); tellsMore(err, failed) {
				failed = err
			}
		}
	}
	return nil, "", failed
}

// tellsMore reports whether of two failures the second is better told: what a
// server said says more than that the network gave nothing.
func tellsMore(err, than error) bool {
	var a, b *LookupError
	if !errors.As(err, &a) || !errors.As(than, &b) {
		return than == nil
	}
	return fromNetwork(b.Kind) && !fromNetwork(a.Kind)
}

func fromNetwork(kind Kind) bool { return kind == Timeout || kind == Unreachable }

// isReferral reports whether a server without recursion only pointed to others.
func isReferral(reply *response) bool {
	return !reply.Authoritative && !reply.RecursionAvailable && reply.Rcode == dns.RcodeSuccess &&
		len(reply.Answer) == 0
}
