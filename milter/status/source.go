// Package status shows what signpostd does, to people and to machines: a status
// page, the same as JSON, health and readiness, and metrics for Prometheus.
//
// It reads no keys and sends no DNS queries. What it shows comes from a Source, and
// from the outcomes of messages that a Recorder observes.
package status

import (
	"io"
	"runtime"
	"time"

	"signpost/keystore"
	"signpost/keystore/rotation"
	"signpost/milter/status/view"
)

// Source is where the facts come from. Its functions are called for each
// request, by many goroutines at once.
type Source struct {
	Version string
	RSA     string // which implementation makes RSA signatures
	Started time.Time
	Listen  []string // the milter sockets
	// Readiness returns what can be signed, and Signs why a domain cannot.
	Readiness func() Readiness
	Signs     func(domain string) error
	// Index returns the domains as they are now. It is called often: it should
	// return the one it made before as long as nothing has changed.
	Index func() *Index
	// Domain returns one of them, all but its last hour.
	Domain func(name string) (view.Domain, bool)
	// Invalid returns what is wrong with files whose names give no domain.
	Invalid func() []string
	// Sessions returns how many milter sessions are open, and were begun.
	Sessions func() (open int, begun int64)
	// Refused returns how many connections were refused or closed, by why.
	Refused func() map[string]int64
	// Memory returns what messages in transit have taken, and the most that they may.
	Memory func() (taken, limit int)
	// Reloads returns how often the key directory was read again, and how often
	// that failed.
	Reloads func() (reloads, failed int64)
	// Round returns how the records of all keys are asked for again and again; nil when the
	// DNS is not asked.
	Round func() rotation.Round
	// Findings writes what the DNS said of the keys, for other nodes; nil likewise.
	Findings func(w io.Writer, since string) error
	// Held returns which keys stay in force though their files cannot be found.
	Held func() keystore.Held
	// Answers returns how the stores of keys answer that are reached over the network.
	Answers func() []keystore.Answers
	// AlsoSign returns what the relay's own domain signs; nil for nothing.
	AlsoSign func() *view.AlsoSign
	// Reports returns how the reading of DMARC reports goes, nil when none are read, and
	// Verdicts yields what they say of each domain.
	Reports  func() *view.Reports
	Verdicts func(yield func(domain string, d *view.DMARC) bool)
}

// goVersion is that of the runtime, such as go1.26.0.
func goVersion() string { return runtime.Version() }
