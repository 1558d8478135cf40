package main

import (
	"context"
	"errors"
	"net"
	"time"

	"signpost/cmd/signpostd/internal/systemd"
	"signpost/keystore/finding"
	"signpost/milter"
)

// handedWithin is how long systemd may take to note the sessions that it keeps.
const handedWithin = 5 * time.Second

// drain lets the messages in progress finish, and hands their sessions over.
func (r *running) drain() error {
	r.manager.Stopping("finishing the messages in progress")
	r.log.Info("shutting down after the messages in progress", "timeout", r.s.Drain)
	drain, cancel := context.WithTimeout(context.Background(), r.s.Drain)
	defer cancel()
	err := r.server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		r.log.Warn("connections were cut off, the MTA will send their messages again", "timeout", r.s.Drain)
		err = nil
	}
	r.background.Wait()
	if handed := r.server.HandedOver(); handed > 0 {
		if err := r.manager.Wait(handedWithin); err != nil {
			r.log.Warn("sessions may not go on", finding.Attr(err))
		}
		r.log.Info("sessions handed over to the next signpostd", "sessions", handed)
	}
	r.log.Info("stopped", counts(r.server.Counters())...)
	return err
}

// handOver has systemd keep a session for the next signpostd.
func handOver(manager *systemd.Notifier) milter.HandOver {
	if !manager.Stores() {
		return nil
	}
	return func(nc net.Conn, state string) error {
		return manager.Store(nc, systemd.SessionPrefix+state)
	}
}

// resume goes on with the sessions that the signpostd before has handed over.
func (r *running) resume() {
	sessions := r.open.sessions
	// A copy that systemd keeps would hold a connection open that ends here.
	for _, session := range sessions {
		r.manager.Forget(systemd.SessionPrefix + session.State)
	}
	for _, session := range sessions {
		if err := r.server.Resume(session.Conn, session.State); err != nil {
			r.log.Warn("a session does not go on", finding.Attr(err))
		}
	}
	if len(sessions) > 0 {
		r.log.Info("sessions go on", "sessions", len(sessions))
	}
}
