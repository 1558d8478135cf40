// Package status shows what signpostd does, to people and to machines: a status
// page, the same as JSON, health and readiness, and metrics for Prometheus.
//
// It reads no keys and sends no DNS queries. What it shows comes from a Source, and
// from the outcomes of messages that a Recorder observes.
package status

import (
	"runtime"
	"time"

	"signpost/milter/status/view"
)

// Source is where the facts come from. Its functions are called for each
// request, by many goroutines at once.
type Source struct {
	Version string
	RSA     string // which implementation makes RSA signatures
	Started time.Time
	Listen  []string // the milter sockets
	// NotReady returns why mail that must be signed cannot be, one reason each;
	// none when all is well. Unsignable is for how many domains that is so.
	NotReady func() (reasons []string, unsignable int)
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
	// Reloads returns how often the key directory was read again, and how often
	// that failed.
	Reloads func() (reloads, failed int64)
}

// goVersion is that of the runtime, such as go1.26.0.
func goVersion() string { return runtime.Version() }
