package nameserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A Zone is the whole DNS of a test: what is not in it does not exist. It
// answers as both a resolver and an authoritative name server do, and may be
// changed while it is served.
type Zone struct {
	mu      sync.Mutex
	records []dns.RR // never changed in place
	index   *index   // of the records; nil after they have changed
	failing map[string]dns.HandlerFunc
	asked   map[question]int
	updates bool // are taken
}

// A question is a name in lower case and a type.
type question struct {
	name  string
	qtype uint16
}

// all stands for every name in Zone.failing. No name is empty.
const all = ""

// NewZone makes a zone of texts in zone file format.
func NewZone(t testing.TB, texts ...string) *Zone {
	t.Helper()
	z := new(Zone)
	for _, text := range texts {
		z.Publish(t, ".", text)
	}
	return z
}

// ParseZone makes a zone of a text in zone file format.
func ParseZone(text string) (*Zone, error) {
	z := new(Zone)
	return z, z.publish(".", text)
}

// Publish adds records in zone file format; names are absolute, or relative to
// origin. A name's records of the same type are replaced.
func (z *Zone) Publish(t testing.TB, origin, text string) {
	t.Helper()
	if err := z.publish(origin, text); err != nil {
		t.Fatal(err)
	}
}

// PublishTXT publishes one TXT record, of any length, in place of what the name
// had.
func (z *Zone) PublishTXT(name, value string) {
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}}
	for chunk := range slices.Chunk([]byte(value), 255) {
		rr.Txt = append(rr.Txt, strings.ReplaceAll(string(chunk), `\`, `\\`))
	}
	z.replace([]dns.RR{rr})
}

func (z *Zone) publish(origin, text string) error {
	parser := dns.NewZoneParser(strings.NewReader(text), dns.Fqdn(origin), "")
	parser.SetDefaultTTL(60)
	var added []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		added = append(added, rr)
	}
	if err := parser.Err(); err != nil {
		return fmt.Errorf("%w in\n%s", err, text)
	}
	z.replace(added)
	return nil
}

func (z *Zone) replace(added []dns.RR) {
	z.mu.Lock()
	defer z.mu.Unlock()
	replaced := make(map[question]bool)
	for _, rr := range added {
		replaced[setOf(rr)] = true
	}
	z.set(append(z.without(func(rr dns.RR) bool { return replaced[setOf(rr)] }), added...))
}

// Withdraw takes all records of the names away; without names, every record.
func (z *Zone) Withdraw(names ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.set(z.without(func(rr dns.RR) bool {
		return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return lower(name) == setOf(rr).name })
	}))
}

func (z *Zone) set(records []dns.RR) { z.records, z.index = records, nil }

func (z *Zone) without(gone func(dns.RR) bool) []dns.RR {
	return slices.DeleteFunc(slices.Clone(z.records), gone)
}

func setOf(rr dns.RR) question { return question{lower(rr.Header().Name), rr.Header().Rrtype} }

func lower(name string) string { return strings.ToLower(dns.Fqdn(name)) }

// Records are those published now.
func (z *Zone) Records() []dns.RR {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.records
}

// Fail makes the zone fail in some way for the names, or for all without names.
// A nil failure ends that.
func (z *Zone) Fail(failure dns.HandlerFunc, names ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.failing == nil {
		z.failing = make(map[string]dns.HandlerFunc)
	}
	if len(names) == 0 {
		z.failing[all] = failure
	}
	for _, name := range names {
		z.failing[lower(name)] = failure
	}
}

// Outdated is a failure: it answers with what the zone has at the time of the
// call, whatever is published later.
func (z *Zone) Outdated() dns.HandlerFunc {
	old := &Zone{records: z.Records()}
	return old.ServeDNS
}

// Asked counts the questions for a type so far: for the names, or for all
// without names. Those that failed count too.
func (z *Zone) Asked(qtype uint16, names ...string) (count int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for q := range maps.Keys(z.asked) {
		wanted := len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return lower(name) == q.name })
		if q.qtype == qtype && wanted {
			count += z.asked[q]
		}
	}
	return count
}

// Serve answers on a loopback port until the test ends, and returns its address.
func (z *Zone) Serve(t testing.TB) (address string) {
	t.Helper()
	return Serve(t, z.ServeDNS)
}

// ServeDNS implements dns.Handler.
func (z *Zone) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	if query.Opcode == dns.OpcodeUpdate {
		z.update(w, query)
		return
	}
	q := question{lower(query.Question[0].Name), query.Question[0].Qtype}
	z.mu.Lock()
	if z.asked == nil {
		z.asked = make(map[question]int)
	}
	z.asked[q]++
	failure := z.failing[all]
	if special := z.failing[q.name]; special != nil {
		failure = special
	}
	if z.index == nil {
		z.index = newIndex(z.records)
	}
	index := z.index
	z.mu.Unlock()
	if failure != nil {
		failure(w, query)
		return
	}
	reply := index.answer(q)
	reply.SetRcode(query, reply.Rcode)
	reply.Authoritative, reply.RecursionAvailable = true, true
	if w.RemoteAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if edns := query.IsEdns0(); edns != nil {
			size = max(size, int(edns.UDPSize()))
		}
		reply.Truncate(size)
	}
	sign(w, reply, query)
	w.WriteMsg(reply)
}
