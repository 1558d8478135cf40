package nameserver

import "github.com/miekg/dns"

// An index finds records. It is immutable.
type index struct {
	records map[question][]dns.RR
	names   map[string]bool // that exist, and be it for a name below
}

func newIndex(records []dns.RR) *index {
	x := &index{records: make(map[question][]dns.RR), names: make(map[string]bool)}
	for _, rr := range records {
		set := setOf(rr)
		x.records[set] = append(x.records[set], rr)
		for name := set.name; !x.names[name]; name = parent(name) {
			x.names[name] = true
		}
	}
	return x
}

// parent is the name without its first label; that of the root is the root.
func parent(name string) string {
	if next, end := dns.NextLabel(name, 0); !end {
		return name[next:]
	}
	return "."
}

// answer finds the records of one type, by way of CNAMEs too.
func (x *index) answer(q question) *dns.Msg {
	reply := new(dns.Msg)
	name := q.name
	for range 20 { // CNAMEs may lead in a circle
		found := x.records[question{name, q.qtype}]
		var next string
		if aliases := x.records[question{name, dns.TypeCNAME}]; len(aliases) > 0 && q.qtype != dns.TypeCNAME {
			found, next = append(found[:len(found):len(found)], aliases...), lower(aliases[0].(*dns.CNAME).Target)
		}
		for _, rr := range found {
			reply.Answer = append(reply.Answer, dns.Copy(rr))
		}
		if next == "" {
			if !x.names[name] {
				reply.Rcode = dns.RcodeNameError
			}
			break
		}
		name = next
	}
	if len(reply.Answer) == 0 || reply.Answer[len(reply.Answer)-1].Header().Rrtype != q.qtype {
		reply.Ns = x.authority(name)
	}
	return reply
}

// authority is the SOA record of the smallest zone around the name.
func (x *index) authority(name string) []dns.RR {
	for {
		if found := x.records[question{name, dns.TypeSOA}]; len(found) > 0 {
			return []dns.RR{dns.Copy(found[0])}
		}
		if name == "." {
			return nil
		}
		name = parent(name)
	}
}
