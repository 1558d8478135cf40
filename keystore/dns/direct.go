package dns

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// direct is the part of a resolver that goes to the name servers themselves.
type direct struct {
	resolver *Resolver // finds them, and all other names
	below    string    // the zone that is asked so, with all below it
	port     string

	mu      sync.Mutex
	replies map[dns.Question][]Reply
	silent  map[string][]error // of each server: the questions in a row without a reply
}

// maxSilent is after how many questions without a reply a server is not waited
// for any more.
const maxSilent = 2

// Direct returns a resolver that puts questions about the zone of domain, and
// what is below it, to every name server there is for them, past all caches.
// Where the servers differ, it answers with what most records are in. Replies
// tells what each said. Other names go through r.
//
// Port is where the name servers listen, empty for 53.
func (r *Resolver) Direct(ctx context.Context, domain, port string) (*Resolver, error) {
	plain := *r
	plain.direct = nil
	zone, err := plain.NameServers(ctx, domain)
	if err != nil {
		return nil, err
	}
	c := plain
	c.memory = newMemory()
	c.direct = &direct{resolver: &plain, below: zone.Zone, port: cmp.Or(port, "53"),
		replies: make(map[dns.Question][]Reply), silent: make(map[string][]error)}
	return &c, nil
}

// Replies returns what the name servers said to each question, ordered by name
// and type. It is empty but for a resolver made with Direct.
func (r *Resolver) Replies() [][]Reply {
	if r.direct == nil {
		return nil
	}
	r.direct.mu.Lock()
	defer r.direct.mu.Unlock()
	questions := slices.SortedFunc(maps.Keys(r.direct.replies), func(a, b dns.Question) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Qtype, b.Qtype))
	})
	var all [][]Reply
	for _, question := range questions {
		all = append(all, r.direct.replies[question])
	}
	return all
}

// covers reports whether a name is asked of its name servers.
func (d *direct) covers(name string) bool {
	return d != nil && dns.IsSubDomain(dns.Fqdn(d.below), dns.Fqdn(name))
}

// ask returns the best reply: one with records, else one that is clear.
func (d *direct) ask(ctx context.Context, question dns.Question) (*response, string, error) {
	zone, err := d.resolver.NameServers(ctx, question.Name)
	if err != nil {
		return nil, "", err
	}
	servers := slices.Clone(zone.Servers)
	d.mu.Lock()
	for i := range servers {
		if host, _, err := net.SplitHostPort(servers[i].Addr); err == nil {
			servers[i].Addr = net.JoinHostPort(host, d.port)
			if errs := d.silent[servers[i].Addr]; len(errs) >= maxSilent {
				servers[i].err = errs[0]
			}
		}
	}
	d.mu.Unlock()
	zone = &NameServers{Zone: zone.Zone, Servers: servers, limit: zone.limit}
	replies := zone.Ask(ctx, question.Name, question.Qtype, d.resolver.Patience)
	d.mu.Lock()
	d.replies[question] = replies
	for _, reply := range replies {
		var failed *LookupError
		if !errors.As(reply.Err, &failed) || !fromNetwork(failed.Kind) {
			delete(d.silent, reply.Server.Addr)
		} else if ctx.Err() == nil {
			d.silent[reply.Server.Addr] = append(d.silent[reply.Server.Addr], reply.Err)
		}
	}
	d.mu.Unlock()
	best := replies[0]
	for _, reply := range replies[1:] {
		if best.Answer == nil && (reply.Answer != nil || tellsMore(reply.Err, best.Err)) ||
			best.Answer != nil && reply.Answer != nil && len(reply.msg.Answer) > len(best.msg.Answer) {
			best = reply
		}
	}
	return best.msg, best.Server.Addr, best.Err
}
