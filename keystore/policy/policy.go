// Package policy evaluates SPF and DMARC as a receiver does: what it gets
// when it evaluates the SPF record for a client (RFC 7208), and which DMARC
// record applies to an author domain (RFC 9989). SPF passes the whole test suite
// of RFC 7208; the one thing left out is the text that exp= points to, for it is
// only said to the sender.
package policy
