package nameserver

import "github.com/miekg/dns"

// Silent never answers.
func Silent(dns.ResponseWriter, *dns.Msg) {}

// Code answers with a response code, such as dns.RcodeServerFailure, and no records.
func Code(rcode int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetRcode(query, rcode)
		reply.RecursionAvailable = true
		w.WriteMsg(reply)
	}
}

// Lame answers as a name server that has no such zone and asks nobody.
func Lame(w dns.ResponseWriter, query *dns.Msg) { w.WriteMsg(new(dns.Msg).SetReply(query)) }

// Truncated leaves out the records for lack of space, by TCP too.
func Truncated(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg).SetReply(query)
	reply.Truncated = true
	w.WriteMsg(reply)
}

// Malformed answers with the first bytes of an answer.
func Malformed(w dns.ResponseWriter, query *dns.Msg) {
	packed, _ := new(dns.Msg).SetReply(query).Pack()
	w.Write(packed[:14])
}
