package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"signpost/cmd/internal/settings"
	"signpost/cmd/signpostd/internal/systemd"
	"signpost/keystore"
	"signpost/milter/status"
)

// Readiness is waited for this long: keys may be on their way, and what starts after
// signpostd would else wait for somebody to make one. Then a change shows in a moment.
const (
	readyWithin = 10 * time.Second
	readyEach   = 200 * time.Millisecond
	statusEach  = 2 * time.Second
)

// supervised tells the service manager when signpostd could sign, and how it is.
type supervised struct {
	*systemd.Notifier
	dir       string
	must      int // domains that must be signed
	keys      func() *keystore.Snapshot
	readiness func() status.Readiness
	log       *slog.Logger

	mu        sync.Mutex
	announced bool
	said      string
}

func newSupervised(n *systemd.Notifier, s *settings.Daemon, facts *status.Facts, log *slog.Logger) *supervised {
	return &supervised{Notifier: n, dir: facts.Store.Name(), must: len(s.Domains), keys: facts.Store.Snapshot,
		readiness: facts.Source().Readiness, log: log}
}

// run goes on until ctx ends.
func (v *supervised) run(ctx context.Context) {
	began := time.Now()
	for pause := readyEach; ; {
		if v.look(time.Since(began) >= readyWithin) {
			pause = statusEach
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// look announces readiness once it is there, or at the latest now, and says how the
// service is where that has changed. It reports whether readiness is announced.
func (v *supervised) look(latest bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	ready, line := v.state()
	switch {
	case !v.announced && (ready || latest):
		if !ready {
			v.log.Warn("systemd is told that the start is over, though no mail can be signed", "err", line)
		}
		v.announced = true
		v.Ready(line)
	case line != v.said:
		v.Status(line)
	}
	v.said = line
	return v.announced
}

// reload runs reloading between what systemd is told of it.
func (v *supervised) reload(reloading func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.announced {
		v.Reloading()
	}
	reloading()
	if v.announced {
		_, v.said = v.state()
		v.Ready(v.said)
	}
}

// state says whether signpostd could sign, as /readyz does. Where there is no key, and
// no domain that must be signed, there is nothing to sign, and it is ready for that.
func (v *supervised) state() (ready bool, line string) {
	now, keys := v.readiness(), v.keys()
	switch {
	case len(now.Down) > 0 && keys.Len() == 0 && len(keys.Problems()) == 0 && v.must == 0:
		return true, "no key yet in " + v.dir + ", so mail passes unsigned"
	case len(now.Down) > 0:
		return false, strings.Join(now.Down, "; ")
	}
	line = "signs for " + domains(keys.Len())
	if n := len(now.Unsignable); n > 0 {
		line += fmt.Sprintf("; cannot sign for %s: %s", domains(n), now.Unsignable[0])
	}
	return true, line
}

func domains(n int) string {
	if n == 1 {
		return "1 domain"
	}
	return fmt.Sprintf("%d domains", n)
}
