package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/libcrypto"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/status"
)

// firstAnswers is how long a start waits for the DNS to say which of several keys
// of a domain is published.
const firstAnswers = 3 * time.Second

// serve signs until ctx ends, and then drains. It reads the keys again at each
// hangup.
func serve(ctx context.Context, s *settings.Daemon, store *keystore.Store, book *rotation.Book, hangup <-chan os.Signal, log *slog.Logger) error {
	config := milter.Config{
		Keys:   book.Take,
		Policy: s.Policy,
		Rules:  s.Rules,
		Peers:  s.Peers,
		Limits: s.Limits,
		Log:    log,
	}
	facts := &status.Facts{
		Version: version, RSA: libcrypto.Name(), Started: time.Now(),
		Domains: s.Domains, Rules: s.Rules, Connections: s.Limits.Connections,
		Store: store, Book: book,
	}
	if s.Keys.Mode != rotation.Off {
		facts.Checker = rotation.NewChecker(book, s.DNS)
	}
	var recorder *status.Recorder
	if s.HTTP != (milter.Address{}) {
		recorder = status.NewRecorder(status.DefaultDomains, facts.Known)
		config.Observe = recorder.Observe
	}
	server, err := milter.NewServer(config)
	if err != nil {
		return err
	}
	facts.Server = server
	var listeners []net.Listener
	for _, address := range s.Listen {
		ln, err := address.Listen()
		if err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		// The server closes those that it serves, and a stop may come before that.
		defer ln.Close()
		listeners = append(listeners, ln)
	}

	if recorder != nil {
		for _, address := range s.Listen {
			facts.Listen = append(facts.Listen, address.String())
		}
		web, err := serveHTTP(s.HTTP, status.NewHandler(facts.Source(), recorder, s.Peers, log), log)
		if err != nil {
			return err
		}
		defer web.stop()
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var background sync.WaitGroup
	background.Go(func() { book.Save(ctx) })
	hurry := func() {}
	if checker := facts.Checker; checker != nil {
		first, cancel := context.WithTimeout(ctx, firstAnswers)
		checker.First(first)
		cancel()
		background.Go(func() { checker.Run(ctx) })
		hurry = func() { checker.Hurry() }
	}
	background.Go(func() { store.Watch(ctx, s.Rescan) })
	background.Go(func() { watchAge(ctx, book, s.KeyAge, log) })
	go reloadOnHangup(ctx, store, server.Counters(), hurry, hangup, log)

	ended := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() { ended <- server.Serve(ln) }()
		log.Info("listening", "addr", milter.AddressOf(ln).String(),
			"version", version, "rsa", libcrypto.Name())
	}

	facts.Serving.Store(true)

	var failed error
	select {
	case failed = <-ended:
		failed = fmt.Errorf("serving: %w", failed)
	case <-ctx.Done():
	}
	facts.Serving.Store(false)
	stop()
	log.Info("shutting down after the messages in progress", "timeout", s.Drain)
	drain, cancel := context.WithTimeout(context.Background(), s.Drain)
	defer cancel()
	err = server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("connections were cut off, the MTA will send their messages again", "timeout", s.Drain)
		err = nil
	}
	background.Wait()
	log.Info("stopped", counts(server.Counters())...)
	return errors.Join(failed, err)
}

// reloadOnHangup reads the keys and asks the DNS again on SIGHUP, and says what was done so far.
func reloadOnHangup(ctx context.Context, store *keystore.Store, counters *milter.Counters, hurry func(), hangup <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := store.Reload(); err == nil {
				log.Info("keys reloaded", "domains", store.Snapshot().Len())
			}
			debug.FreeOSMemory() // of many domains the listing alone is megabytes
			hurry()
			log.Info("since the start", counts(counters)...)
		}
	}
}

// counts returns messages by reason, and connections that were refused by why,
// in order, as attributes for the log.
func counts(counters *milter.Counters) (attrs []any) {
	messages, refused := counters.Messages(), counters.Refused()
	for _, reason := range slices.Sorted(maps.Keys(messages)) {
		attrs = append(attrs, string(reason), messages[reason])
	}
	for _, why := range slices.Sorted(maps.Keys(refused)) {
		attrs = append(attrs, "refused-"+why, refused[why])
	}
	return attrs
}
