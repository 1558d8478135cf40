// Package policy says what SPF and DMARC say of a sender: what a receiver gets
// when it evaluates the SPF record for a client (RFC 7208), and which DMARC
// record applies to an author domain (RFC 9989).
package policy
