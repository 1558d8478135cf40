package dns

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"signpost/keystore/record"
)

// Answer is what the DNS said clearly. It must not be changed.
type Answer struct {
	Name     string   // what was asked for: lower case, no final dot
	Type     uint16   // such as dns.TypeTXT
	Server   string   // host:port that answered
	NXDomain bool     // the name, or the one at the end of its CNAMEs, does not exist
	CNAMEs   []string // where the name leads, in order
	Records  []dns.RR // of the type asked for; none is an answer too
	// TTL is how long this may be cached: the least of the CNAMEs and records
	// or, where there are none, what the zone says of missing ones.
	TTL time.Duration
	// Authoritative says that the server holds the zone.
	Authoritative bool
	TCP           bool // it was too large for UDP
}

// maxChain is how many CNAMEs are followed; resolvers give up at some such number.
const maxChain = 16

func newAnswer(question dns.Question) *Answer {
	return &Answer{Name: Plain(question.Name), Type: question.Qtype, TTL: -1}
}

// Owner returns the name that holds the records: the last of the CNAMEs.
func (a *Answer) Owner() string {
	if n := len(a.CNAMEs); n > 0 {
		return a.CNAMEs[n-1]
	}
	return a.Name
}

// TXT returns the TXT records of the answer.
func (a *Answer) TXT() []record.TXT {
	var texts []record.TXT
	for _, rr := range a.Records {
		if txt, ok := rr.(*dns.TXT); ok {
			text := make(record.TXT, len(txt.Txt))
			for i, s := range txt.Txt {
				text[i] = unescape(s)
			}
			texts = append(texts, text)
		}
	}
	return texts
}

// Addrs returns the addresses of an answer of type A or AAAA.
func (a *Answer) Addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range a.Records {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// add takes a reply to a question for Owner. It reports whether that only led
// to a name of which it says nothing.
func (a *Answer) add(reply *response) (more bool, err error) {
	a.Authoritative = reply.Authoritative
	a.TCP = a.TCP || reply.tcp
	a.NXDomain = reply.Rcode == dns.RcodeNameError
	followed := false
	for {
		found := false
		for _, rr := range reply.Answer {
			if rr.Header().Rrtype == a.Type && Plain(rr.Header().Name) == a.Owner() {
				a.Records = append(a.Records, rr)
				a.atMost(rr.Header().Ttl)
				found = true
			}
		}
		if found {
			return false, nil
		}
		i := slices.IndexFunc(reply.Answer, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeCNAME && Plain(rr.Header().Name) == a.Owner()
		})
		if i < 0 {
			break
		}
		target := Plain(reply.Answer[i].(*dns.CNAME).Target)
		if target == a.Name || slices.Contains(a.CNAMEs, target) || len(a.CNAMEs) == maxChain {
			return false, &LookupError{Name: a.Name, Type: dns.TypeToString[a.Type], Server: a.Server, Kind: Loop}
		}
		a.CNAMEs = append(a.CNAMEs, target)
		a.atMost(reply.Answer[i].Header().Ttl)
		followed = true
	}
	// No record at the end of the chain. The zone's SOA says so (RFC 2308,
	// section 2); without it the end lies in a zone that the server does not hold.
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, dns.Fqdn(a.Owner())) {
			a.atMost(min(soa.Hdr.Ttl, soa.Minttl))
			return false, nil
		}
	}
	return followed && !a.NXDomain, nil
}

func (a *Answer) atMost(seconds uint32) {
	if ttl := time.Duration(seconds) * time.Second; a.TTL < 0 || ttl < a.TTL {
		a.TTL = ttl
	}
}

// Plain returns a name as we write it: lower case, no final dot.
func Plain(name string) string {
	name = strings.ToLower(name)
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// NewTXT makes a TXT record of a text.
func NewTXT(name, text string, ttl time.Duration) *dns.TXT {
	rr := &dns.TXT{Hdr: dns.RR_Header{
		Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second),
	}}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for _, s := range record.NewTXT(text) {
		rr.Txt = append(rr.Txt, escape.Replace(s))
	}
	return rr
}

// unescape undoes what the dns library does to a character-string, which it
// holds as it would stand in a zone file: \" and \\ and \DDD.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
		default:
			i++
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
