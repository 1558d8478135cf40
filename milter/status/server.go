package status

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// connections are more than browsers, a Prometheus or two and the checks of a
// container engine need, and few enough to cost little.
const connections = 100

// NewServer returns a server of the handler that is sparing with time and
// memory. It has Serve, Shutdown and Close.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       90 * time.Second, // longer than Prometheus takes between scrapes
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Bounded bounds the connections of a listener.
func Bounded(ln net.Listener) net.Listener { return netutil.LimitListener(ln, connections) }
