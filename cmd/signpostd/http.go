package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"signpost/keystore/finding"
	"signpost/milter"
	"signpost/milter/status"
)

// web serves the status page and what goes with it.
type web struct {
	server *http.Server
	done   chan struct{}
}

// serveHTTP begins to serve at the address.
func serveHTTP(address milter.Address, handler http.Handler, log *slog.Logger) (*web, error) {
	ln, err := address.Listen()
	if err != nil {
		return nil, fmt.Errorf("--http: %w", err)
	}
	w := &web{server: status.NewServer(handler, log), done: make(chan struct{})}
	log.Info("status page", "addr", milter.AddressOf(ln).String())
	go func() {
		defer close(w.done)
		// Mail goes on being signed without it.
		if err := w.server.Serve(status.Bounded(ln)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the status page is no longer served", finding.Attr(err))
		}
	}()
	return w, nil
}

// stop lets requests in progress finish, for a moment.
func (w *web) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if w.server.Shutdown(ctx) != nil {
		w.server.Close()
	}
	<-w.done
}
