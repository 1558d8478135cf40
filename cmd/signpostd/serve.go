package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"signpost/keystore"
	"signpost/milter"
)

// serve signs until ctx ends, and then drains. It reads the keys again at each
// hangup.
func serve(ctx context.Context, settings *settings, store *keystore.Store, hangup <-chan os.Signal, log *slog.Logger) error {
	server := milter.NewServer(milter.Config{
		Keys:   store.Snapshot,
		Policy: settings.policy,
		Rules:  settings.rules,
		Peers:  settings.peers,
		Limits: settings.limits,
		Log:    log,
	})
	var listeners []net.Listener
	for _, address := range settings.listen {
		ln, err := address.Listen()
		if err != nil {
			for _, ln := range listeners {
				ln.Close()
			}
			return err
		}
		listeners = append(listeners, ln)
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		store.Watch(ctx, settings.rescan)
	}()
	go reloadOnHangup(ctx, store, hangup, log)

	ended := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() { ended <- server.Serve(ln) }()
		log.Info("listening", "addr", shown(ln.Addr()), "version", version)
	}

	var failed error
	select {
	case failed = <-ended:
		failed = fmt.Errorf("serving: %w", failed)
	case <-ctx.Done():
	}
	stop()
	log.Info("shutting down, messages under way finish", "at most", settings.drain)
	drain, cancel := context.WithTimeout(context.Background(), settings.drain)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("connections were cut off; the MTA tries their messages again", "after", settings.drain)
		err = nil
	}
	<-watched
	logCounts(server.Counters(), log)
	return errors.Join(failed, err)
}

func reloadOnHangup(ctx context.Context, store *keystore.Store, hangup <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := store.Reload(); err == nil {
				log.Info("keys reloaded", "domains", len(store.Snapshot().Domains()))
			}
		}
	}
}

// logCounts says what was done since the start.
func logCounts(counters *milter.Counters, log *slog.Logger) {
	var attrs []any
	for reason, n := range counters.Messages() {
		attrs = append(attrs, string(reason), n)
	}
	for why, n := range counters.Refused() {
		attrs = append(attrs, "refused-"+why, n)
	}
	log.Info("stopped", attrs...)
}

func shown(addr net.Addr) string {
	if addr.Network() == "unix" {
		return "unix:" + addr.String()
	}
	return "inet:" + addr.String()
}
