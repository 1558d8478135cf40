package dns

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// A Source is asked for records: the DNS (*Resolver) or records at hand (*Zone).
type Source interface {
	Lookup(ctx context.Context, name string, qtype uint16) (*Answer, error)
}

// Zone answers from records at hand, without the DNS. What is not among them
// does not exist. It may be used by several goroutines at once.
type Zone struct {
	byName map[string][]dns.RR
	exists map[string]bool // names that hold a record, or have one below
}

// NewZone makes a Zone of records of any names.
func NewZone(records []dns.RR) *Zone {
	z := &Zone{byName: make(map[string][]dns.RR), exists: make(map[string]bool)}
	for _, rr := range records {
		name := Plain(rr.Header().Name)
		z.byName[name] = append(z.byName[name], rr)
		for ancestor := range Walk(name) {
			z.exists[ancestor] = true
		}
	}
	return z
}

// Walk yields a name, then its parent, and so on up to the top level.
func Walk(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for more := true; more; _, name, more = strings.Cut(name, ".") {
			if !yield(name) {
				return
			}
		}
	}
}

// Lookup returns the records of one type at name. CNAMEs are followed. The
// error is a *LookupError.
func (z *Zone) Lookup(_ context.Context, name string, qtype uint16) (*Answer, error) {
	question, err := questionFor(name, qtype)
	if err != nil {
		return nil, err
	}
	answer := newAnswer(question)
	reply := new(dns.Msg)
	for owner, hops := answer.Name, 0; hops <= maxChain; hops++ {
		records := z.byName[owner]
		reply.Answer = append(reply.Answer, records...)
		i := slices.IndexFunc(records, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeCNAME })
		if i < 0 || qtype == dns.TypeCNAME {
			if !z.exists[owner] {
				reply.Rcode = dns.RcodeNameError
			}
			break
		}
		owner = Plain(records[i].(*dns.CNAME).Target)
	}
	if _, err := answer.add(&response{Msg: reply}); err != nil {
		return nil, err
	}
	answer.TTL = max(answer.TTL, 0)
	return answer, nil
}
