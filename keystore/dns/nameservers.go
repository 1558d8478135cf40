package dns

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/time/rate"
)

// NameServers are those of one zone.
type NameServers struct {
	Zone    string // its apex, without final dot
	Servers []NameServer
	limit   *rate.Limiter
}

// NameServer is one address of a name server.
type NameServer struct {
	Name string // such as "ns1.example.org"
	Addr string // host:port; empty when it has no address
	err  error  // why it is not asked
}

func (s NameServer) String() string {
	if s.Addr == "" {
		return s.Name
	}
	host, _, _ := net.SplitHostPort(s.Addr)
	return s.Name + " (" + host + ")"
}

// mostServers bounds how many addresses are asked: more than the 13 names that
// large zones have, with two each.
const mostServers = 32

// Reply is what one name server said to a question.
type Reply struct {
	Server NameServer
	Answer *Answer // nil when there was none
	Err    error   // a *LookupError then

	msg *response
}

// Apex finds the zone that a name lies in, and returns it without final dot.
func (r *Resolver) Apex(ctx context.Context, name string) (string, error) {
	failed := &LookupError{Name: Plain(name), Type: "SOA", Kind: Malformed, Err: errors.New("no zone holds the name")}
	for apex := range Walk(Plain(name)) {
		answer, err := r.Lookup(ctx, apex, dns.TypeSOA)
		if err != nil {
			return "", err
		}
		if len(answer.Records) > 0 && len(answer.CNAMEs) == 0 {
			return apex, nil
		}
		failed.Server = answer.Server
	}
	return "", failed
}

// NameServers finds the zone that a name lies in, and its name servers with all
// their addresses, as r knows them.
func (r *Resolver) NameServers(ctx context.Context, name string) (*NameServers, error) {
	apex, err := r.Apex(ctx, name)
	if err != nil {
		return nil, err
	}
	answer, err := r.Lookup(ctx, apex, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	zone := &NameServers{Zone: apex, limit: r.Limit}
	for _, rr := range answer.Records {
		if len(zone.Servers) >= mostServers {
			break
		}
		zone.Servers = append(zone.Servers, r.addresses(ctx, Plain(rr.(*dns.NS).Ns))...)
	}
	if len(zone.Servers) == 0 {
		return nil, &LookupError{Name: apex, Type: "NS", Kind: Malformed, Server: answer.Server,
			Err: errors.New("the zone has no name servers")}
	}
	return zone, nil
}

// addresses returns the name server once for each of its addresses.
func (r *Resolver) addresses(ctx context.Context, name string) []NameServer {
	var servers []NameServer
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := r.Lookup(ctx, name, qtype)
		if err != nil {
			failed = err
			continue
		}
		addrs := answer.Addrs()
		for _, ip := range addrs[:min(len(addrs), mostServers)] {
			servers = append(servers, NameServer{Name: name, Addr: net.JoinHostPort(ip.String(), "53")})
		}
	}
	if len(servers) == 0 {
		if failed == nil {
			failed = &LookupError{Name: name, Type: "A", Kind: NoAddress}
		}
		servers = []NameServer{{Name: name, err: failed}}
	}
	return servers
}

// Ask puts a question to each name server at once, and returns their replies in
// the order of the servers. An answer ends where a chain of CNAMEs leaves the
// zone: what a server adds from other zones that it holds, others do not have.
func (z *NameServers) Ask(ctx context.Context, name string, qtype uint16, patience time.Duration) []Reply {
	replies := make([]Reply, len(z.Servers))
	question, err := questionFor(name, qtype)
	var asking sync.WaitGroup
	for i, server := range z.Servers {
		replies[i] = Reply{Server: server, Err: err}
		if err == nil {
			asking.Go(func() { replies[i].ask(ctx, z, question, patience) })
		}
	}
	asking.Wait()
	return replies
}

func (r *Reply) ask(ctx context.Context, zone *NameServers, question dns.Question, patience time.Duration) {
	if r.Server.err != nil {
		r.Err = r.Server.err
		if failed := new(LookupError); r.Server.Addr != "" && errors.As(r.Err, &failed) {
			r.Err = &LookupError{Plain(question.Name), dns.TypeToString[question.Qtype], r.Server.Addr,
				failed.Kind, failed.Err}
		}
		return
	}
	msg, fail := limited(ctx, zone.limit, r.Server.Addr, question, false, patience)
	if fail != nil && fail.kind == Timeout && ctx.Err() == nil { // a packet may be lost
		msg, fail = limited(ctx, zone.limit, r.Server.Addr, question, false, patience)
	}
	if fail == nil && !msg.Authoritative {
		fail = &failure{kind: Lame}
	}
	if fail != nil {
		r.Err = &LookupError{Name: Plain(question.Name), Type: dns.TypeToString[question.Qtype],
			Server: r.Server.Addr, Kind: fail.kind, Err: fail.err}
		return
	}
	answer := newAnswer(question)
	answer.Server = r.Server.Addr
	if _, r.Err = answer.add(msg); r.Err == nil {
		answer.TTL = max(answer.TTL, 0)
		outside := func(name string) bool { return !dns.IsSubDomain(dns.Fqdn(zone.Zone), dns.Fqdn(name)) }
		if first := slices.IndexFunc(answer.CNAMEs, outside); first >= 0 {
			answer.CNAMEs, answer.Records, answer.NXDomain = answer.CNAMEs[:first+1], nil, false
		}
		r.msg, r.Answer = msg, answer
	}
}
