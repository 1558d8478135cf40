// Package records proves that real name servers take the records as they are
// printed: BIND's and NSD's checkers read the zone files, and BIND and Knot take
// the dynamic updates and answer with the same records afterwards.
//
// Needed: the packages bind9, bind9-utils, bind9-dnsutils, nsd, knot and
// knot-dnsutils.
package records
