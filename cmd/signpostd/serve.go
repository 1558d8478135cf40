package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	"signpost/milter/reports/watch"
	"signpost/milter/status"
)

// firstAnswers is how long a start waits for the DNS to say which of several keys
// of a domain is published.
const firstAnswers = 3 * time.Second

// running is a signpostd between its start and its end.
type running struct {
	s     *settings.Daemon
	store keystore.Source
	book  *rotation.Book
	log   *slog.Logger

	manager  *systemd.Notifier
	open     *sockets
	server   *milter.Server
	facts    *status.Facts
	recorder *status.Recorder // nil without a status page
	reports  *watch.Watch     // nil when none are read

	background sync.WaitGroup
}

// serve signs until ctx ends, and then drains. It reads the keys again at each
// hangup.
func serve(ctx context.Context, s *settings.Daemon, store keystore.Source, book *rotation.Book,
	shared *keystore.Shared, hangup <-chan os.Signal, log *slog.Logger) error {
	r := &running{s: s, store: store, book: book, log: log}
	// Before signpostd is confined, for then it cannot.
	var err error
	if r.manager, err = systemd.Connect(); err != nil {
		log.Warn("systemd is not told how signpostd is", finding.Attr(err))
	}
	if r.open, err = openSockets(s, log); err != nil {
		return err
	}
	defer r.open.close()
	if err := r.build(shared); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := confined(s, r.open.own, store.Snapshot().Len(), r.background.Go, log); err != nil {
		return err
	}
	if r.recorder != nil {
		for _, ln := range r.open.milter {
			r.facts.Listen = append(r.facts.Listen, milter.AddressOf(ln).String())
		}
		handler := status.NewHandler(r.facts.Source(), r.recorder, httpAccess(s, r.open.page), log)
		defer serveHTTP(r.open.page, handler, log).stop()
	}
	r.follow(ctx)
	supervisor := newSupervised(r.manager, s, r.facts, log)
	go r.reloadOnHangup(ctx, supervisor, hangup)

	r.resume()
	ended := r.accept()
	r.facts.Serving.Store(true)
	if r.manager.Present() {
		r.background.Go(func() { supervisor.run(ctx) })
	}

	var failed error
	select {
	case failed = <-ended:
		failed = fmt.Errorf("serving: %w", failed)
	case <-ctx.Done():
	}
	r.facts.Serving.Store(false)
	stop()
	return errors.Join(failed, r.drain())
}

// build makes the milter server, and what is told of it.
func (r *running) build(shared *keystore.Shared) (err error) {
	s := r.s
	config := milter.Config{
		Keys:   r.book.Take,
		Policy: s.Policy,
		Rules:  s.Rules,
		Peers:  s.Peers,
		Limits: s.Limits,
		Log:    r.log,

		HandOver: handOver(r.manager),
	}
	if shared != nil {
		config.Keyless = wanted(shared, s.Rules.Subdomains)
	}
	r.facts = &status.Facts{
		Version: version, RSA: libcrypto.Name(), Started: time.Now(),
		Domains: s.Domains, Rules: s.Rules,
		Store: r.store, Book: r.book,
	}
	if r.reports = watchReports(s, r.store, r.book, r.log); r.reports != nil {
		r.facts.Reports, r.facts.Evidence = r.reports, evidence(s, r.reports)
	}
	if s.Keys.Mode != rotation.Off {
		r.facts.Checker = rotation.NewChecker(r.book, keyQueries(s))
		r.facts.Checker.Share(s.State.Node, exchanges(s, r.book, r.facts.Checker, r.log)...)
	}
	if r.open.page != nil {
		r.recorder = status.NewRecorder(status.DefaultDomains, r.facts.Known)
		config.Observe = r.recorder.Observe
	}
	r.server, err = milter.NewServer(config)
	r.facts.Server = r.server
	return err
}

// follow keeps up with what changes, in the background: keys, the DNS, maps and reports.
// It waits a moment for the DNS.
func (r *running) follow(ctx context.Context) {
	r.background.Go(func() { r.book.Save(ctx) })
	if checker := r.facts.Checker; checker != nil {
		first, cancel := context.WithTimeout(ctx, firstAnswers)
		checker.First(first)
		cancel()
		r.background.Go(func() { checker.Run(ctx) })
	}
	r.background.Go(func() { r.store.Watch(ctx, r.s.Rescan) })
	r.background.Go(func() { r.s.Rules.Logins.Watch(ctx, r.log) })
	r.background.Go(func() { watchAge(ctx, r.book, r.s.KeyAge, r.log) })
	if r.reports != nil {
		r.background.Go(func() { r.reports.Run(ctx) })
	}
}

// accept serves the milter's sockets. One that ends is in the channel.
func (r *running) accept() <-chan error {
	ended := make(chan error, len(r.open.milter))
	for _, ln := range r.open.milter {
		go func() { ended <- r.server.Serve(ln) }()
		r.log.Info("listening", "addr", milter.AddressOf(ln).String(),
			"version", version, "rsa", libcrypto.Name())
	}
	return ended
}

// exchanges returns the ways in which what the DNS said is shared with other nodes.
func exchanges(s *settings.Daemon, book *rotation.Book, checker *rotation.Checker,
	log *slog.Logger) (all []rotation.Exchange) {
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

// reloadOnHangup reads the keys and asks the DNS again on SIGHUP, and says what was done so far.
// Keys that are held because their files went missing are dropped then.
func (r *running) reloadOnHangup(ctx context.Context, supervisor *supervised, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			supervisor.reload(func() {
				if err := r.store.Accept(); err == nil {
					r.log.Info("keys reloaded", "domains", r.store.Snapshot().Len())
				}
			})
			debug.FreeOSMemory() // of many domains the listing alone is megabytes
			if r.facts.Checker != nil {
				r.facts.Checker.Hurry()
			}
			r.log.Info("since the start", counts(r.server.Counters())...)
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
