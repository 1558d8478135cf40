package tally

import (
	"net/netip"
	"time"
)

// Question is what an answer depends on besides the reports.
type Question struct {
	Now  time.Time
	Days int // to look back, by the ends of reports; 0 for all
	// Published is the DMARC record of the domain as the DNS has it; empty where that is not
	// known. Without it the policy is the one that was last reported.
	Published string
	// Own are the addresses of the sender's own hosts, OwnIs where they are from, such as
	// "given" or "in the SPF record of example.org". Without any, a source whose mail passes
	// both aligned SPF and DKIM is taken for one.
	Own   []netip.Prefix
	OwnIs string
	// Name returns the name of an address (PTR), empty where it is not known. It may be nil.
	Name func(netip.Addr) string
	// Keys are the keys of the domain; KeysKnown says that there are no others.
	Keys      []Key
	KeysKnown bool
	// Ignore are authenticated domains (such as crm.example) that do not send for the domain,
	// and addresses of such senders: their failures are those of forgers.
	Ignore     []string
	Thresholds Thresholds // DefaultThresholds where zero
}

// Key is a key at hand.
type Key struct {
	Domain, Selector string
	Stage            string // of rotation.Stage
	Signs            bool
}

// Thresholds are what a verdict of "safe" takes.
type Thresholds struct {
	Days      int `json:"days"`      // with reports
	Reporters int `json:"reporters"` // that differ
	Messages  int `json:"messages"`  // that they tell of
	// OwnFailures is how many messages of own hosts and known services may fail.
	OwnFailures int `json:"own_failures"`
}

// DefaultThresholds returns what is asked for where nothing else is.
func DefaultThresholds() Thresholds {
	return Thresholds{Days: 14, Reporters: 3, Messages: 100, OwnFailures: 0}
}
