package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/milter"
	"signpost/milter/status"
)

// web serves the status page and what goes with it.
type web struct {
	server *http.Server
	done   chan struct{}
}

// httpAccess is for those who may connect to the milter, by the names that we know to be ours.
func httpAccess(s *settings.Daemon, page net.Listener) status.Access {
	access := status.Access{Peers: s.Peers, Hosts: append(s.HTTPHosts, s.HTTP.Address, milter.AddressOf(page).Address)}
	if name, err := os.Hostname(); err == nil {
		access.Hosts = append(access.Hosts, name)
	}
	return access
}

// serveHTTP begins to serve.
func serveHTTP(ln net.Listener, handler http.Handler, log *slog.Logger) *web {
	w := &web{server: status.NewServer(handler, log), done: make(chan struct{})}
	log.Info("status page", "addr", milter.AddressOf(ln).String())
	go func() {
		defer close(w.done)
		// Mail goes on being signed without it.
		if err := w.server.Serve(status.Bounded(ln)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the status page is no longer served", finding.Attr(err))
		}
	}()
	return w
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
