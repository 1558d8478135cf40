package status

import (
	"log/slog"
	"net/http"
	"time"
)

// NewServer returns a server of the handler that is sparing with time and
// memory. It has Serve, Shutdown and Close.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ConnState:         follow,
		ReadHeaderTimeout: 3 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       65 * time.Second, // longer than Prometheus takes between scrapes
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
