package nameserver

import (
	"slices"

	"github.com/miekg/dns"
)

// TSIGName is the name of the key whose secret is TSIGSecret.
const TSIGName = "signpost"

// TakeUpdates makes the zone take dynamic updates (RFC 2136) that are signed with
// TSIGSecret. Each name that has a SOA record is the apex of a zone.
func (z *Zone) TakeUpdates() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.updates = true
}

// withUpdates accepts dynamic updates, which the library refuses unasked.
func withUpdates(header dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if opcode := header.Bits >> 11 & 0xf; opcode == dns.OpcodeUpdate && header.Bits&response == 0 {
		return dns.MsgAccept
	}
	return dns.DefaultMsgAcceptFunc(header)
}

// update does what a dynamic update says, and answers it. There are no
// prerequisites, for nobody needs them here.
func (z *Zone) update(w dns.ResponseWriter, update *dns.Msg) {
	reply := new(dns.Msg).SetReply(update)
	z.mu.Lock()
	isApex := func(rr dns.RR) bool {
		return setOf(rr) == question{lower(update.Question[0].Name), dns.TypeSOA}
	}
	switch {
	case !z.updates || update.IsTsig() == nil || w.TsigStatus() != nil:
		reply.Rcode = dns.RcodeRefused
	case !slices.ContainsFunc(z.records, isApex):
		reply.Rcode = dns.RcodeNotZone
	case len(update.Answer) > 0:
		reply.Rcode = dns.RcodeNotImplemented
	default:
		for _, rr := range update.Ns {
			z.change(rr)
		}
	}
	z.mu.Unlock()
	sign(w, reply, update)
	w.WriteMsg(reply)
}

// change adds a record or takes some away (RFC 2136, section 2.5).
func (z *Zone) change(rr dns.RR) {
	header := rr.Header()
	switch header.Class {
	case dns.ClassNONE: // this record
		header.Class = dns.ClassINET
		z.set(z.without(func(other dns.RR) bool { return dns.IsDuplicate(rr, other) }))
	case dns.ClassANY: // all of the name, or of a type of it
		z.set(z.without(func(other dns.RR) bool {
			is := setOf(other)
			return is.name == lower(header.Name) && (header.Rrtype == dns.TypeANY || is.qtype == header.Rrtype)
		}))
	default:
		z.set(append(z.without(func(other dns.RR) bool { return dns.IsDuplicate(rr, other) }), rr))
	}
}

// sign signs the reply to what was signed well.
func sign(w dns.ResponseWriter, reply, query *dns.Msg) {
	if tsig := query.IsTsig(); tsig != nil && w.TsigStatus() == nil {
		reply.SetTsig(tsig.Hdr.Name, tsig.Algorithm, 300, int64(tsig.TimeSigned))
	}
}
