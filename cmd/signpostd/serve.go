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
	"signpost/cmd/signpostd/internal/systemd"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/libcrypto"
	"signpost/keystore/redis"
	"signpost/keystore/rotation"
	"signpost/keystore/rotation/peers"
	"signpost/milter"
	"signpost/milter/status"
)

// firstAnswers is how long a start waits for the DNS to say which of several keys
// of a domain is published.
const firstAnswers = 3 * time.Second

// handedWithin is how long systemd may take to note the sessions that it keeps.
const handedWithin = 5 * time.Second

// serve signs until ctx ends, and then drains. It reads the keys again at each
// hangup.
func serve(ctx context.Context, s *settings.Daemon, store keystore.Source, book *rotation.Book, shared *keystore.Shared, hangup <-chan os.Signal, log *slog.Logger) error {
	// Before signpostd is confined, for then it cannot.
	manager, err := systemd.Connect()
	if err != nil {
		log.Warn("systemd is not told how signpostd is", finding.Attr(err))
	}
	open, err := openSockets(s, log)
	if err != nil {
		return err
	}
	defer open.close()
	config := milter.Config{
		Keys:   book.Take,
		Policy: s.Policy,
		Rules:  s.Rules,
		Peers:  s.Peers,
		Limits: s.Limits,
		Log:    log,

		HandOver: handOver(manager),
	}
	if shared != nil {
		config.Keyless = wanted(shared, s.Rules.Subdomains)
	}
	facts := &status.Facts{
		Version: version, RSA: libcrypto.Name(), Started: time.Now(),
		Domains: s.Domains, Rules: s.Rules,
		Store: store, Book: book,
	}
	watching := watchReports(s, store, book, log)
	if watching != nil {
		facts.Reports, facts.Evidence = watching, evidence(s, watching)
	}
	if s.Keys.Mode != rotation.Off {
		facts.Checker = rotation.NewChecker(book, keyQueries(s))
		facts.Checker.Share(s.State.Node, exchanges(s, book, facts.Checker, log)...)
	}
	var recorder *status.Recorder
	if open.page != nil {
		recorder = status.NewRecorder(status.DefaultDomains, facts.Known)
		config.Observe = recorder.Observe
	}
	server, err := milter.NewServer(config)
	if err != nil {
		return err
	}
	facts.Server = server
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var background sync.WaitGroup
	if err := confined(s, open.own, store.Snapshot().Len(), background.Go, log); err != nil {
		return err
	}

	if recorder != nil {
		for _, ln := range open.milter {
			facts.Listen = append(facts.Listen, milter.AddressOf(ln).String())
		}
		handler := status.NewHandler(facts.Source(), recorder, httpAccess(s, open.page), log)
		defer serveHTTP(open.page, handler, log).stop()
	}
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
	background.Go(func() { s.Rules.Logins.Watch(ctx, log) })
	background.Go(func() { watchAge(ctx, book, s.KeyAge, log) })
	if watching != nil {
		background.Go(func() { watching.Run(ctx) })
	}
	supervisor := newSupervised(manager, s, facts, log)
	go reloadOnHangup(ctx, store, server.Counters(), supervisor, hurry, hangup, log)

	resume(server, open.sessions, manager, log)
	ended := make(chan error, len(open.milter))
	for _, ln := range open.milter {
		go func() { ended <- server.Serve(ln) }()
		log.Info("listening", "addr", milter.AddressOf(ln).String(),
			"version", version, "rsa", libcrypto.Name())
	}

	facts.Serving.Store(true)
	if manager.Present() {
		background.Go(func() { supervisor.run(ctx) })
	}

	var failed error
	select {
	case failed = <-ended:
		failed = fmt.Errorf("serving: %w", failed)
	case <-ctx.Done():
	}
	facts.Serving.Store(false)
	stop()
	manager.Stopping("finishing the messages in progress")
	log.Info("shutting down after the messages in progress", "timeout", s.Drain)
	drain, cancel := context.WithTimeout(context.Background(), s.Drain)
	defer cancel()
	err = server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("connections were cut off, the MTA will send their messages again", "timeout", s.Drain)
		err = nil
	}
	background.Wait()
	if handed := server.HandedOver(); handed > 0 {
		if err := manager.Wait(handedWithin); err != nil {
			log.Warn("sessions may not go on", finding.Attr(err))
		}
		log.Info("sessions handed over to the next signpostd", "sessions", handed)
	}
	log.Info("stopped", counts(server.Counters())...)
	return errors.Join(failed, err)
}

// exchanges returns the ways in which what the DNS said is shared with other nodes.
func exchanges(s *settings.Daemon, book *rotation.Book, checker *rotation.Checker, log *slog.Logger) (all []rotation.Exchange) {
	if s.State.Dir != "" {
		all = append(all, book.Neighbours())
	}
	for _, source := range s.Keys.Sources {
		if store, ok := source.Backend.(*redis.Backend); ok {
			all = append(all, store.Findings(s.State.Node))
		}
	}
	if len(s.Sharing) > 0 {
		all = append(all, peers.New(s.Sharing, s.State.Node, checker.Own, log))
	}
	return all
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
func resume(server *milter.Server, sessions []systemd.Session, manager *systemd.Notifier, log *slog.Logger) {
	// A copy that systemd keeps would hold a connection open that ends here.
	for _, session := range sessions {
		manager.Forget(systemd.SessionPrefix + session.State)
	}
	for _, session := range sessions {
		if err := server.Resume(session.Conn, session.State); err != nil {
			log.Warn("a session does not go on", finding.Attr(err))
		}
	}
	if len(sessions) > 0 {
		log.Info("sessions go on", "sessions", len(sessions))
	}
}

// reloadOnHangup reads the keys and asks the DNS again on SIGHUP, and says what was done so far.
// Keys that are held because their files went missing are dropped then.
func reloadOnHangup(ctx context.Context, store keystore.Source, counters *milter.Counters, supervisor *supervised, hurry func(), hangup <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			supervisor.reload(func() {
				if err := store.Accept(); err == nil {
					log.Info("keys reloaded", "domains", store.Snapshot().Len())
				}
			})
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
