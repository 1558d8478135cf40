package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"signpost/keystore/finding"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// mostReasons is how many reasons of not being ready are shown.
const mostReasons = 20

// handler answers requests.
type handler struct {
	*viewer
	peers []netip.Prefix
	page  *page
}

// NewHandler returns the pages. Peers are the networks whose requests for more
// than health and readiness are answered, for the pages name the domains and
// the last clients. A request that comes by a unix socket always is.
func NewHandler(source *Source, recorder *Recorder, peers []netip.Prefix, log *slog.Logger) http.Handler {
	h := &handler{viewer: &viewer{source: source, recorder: recorder}, peers: peers, page: newPage()}
	metrics := promhttp.HandlerFor(NewRegistry(source, recorder), promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", h.health)
	mux.HandleFunc("/readyz", h.ready)
	mux.Handle("/metrics", h.guarded(metrics.ServeHTTP))
	mux.Handle("/status.json", h.guarded(h.json))
	mux.Handle("/{$}", h.guarded(h.html))
	return h.careful(mux)
}

// careful allows only GET and HEAD, and sends a Content-Security-Policy that allows
// nothing but what is in the page.
func (h *handler) careful(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", h.page.csp)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			head.Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, errors.New("this only shows"), "use GET")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *handler) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.allowed(r.RemoteAddr) {
			refuse(w, http.StatusForbidden, fmt.Errorf("%s may not see this", r.RemoteAddr),
				"its network is not in --allow-peers")
			return
		}
		next(w, r)
	})
}

// refuse answers a request with an error.
func refuse(w http.ResponseWriter, code int, err error, advice string) {
	http.Error(w, finding.Text(finding.WithHint(err, advice)), code)
}

// allowed reports whether a peer may see more than whether signpostd is ready.
func (h *handler) allowed(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return true // a unix socket: access is controlled by the permissions of its directory
	}
	addr := peer.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(h.peers, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// health answers as long as the process lives.
func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	reasons, _ := h.source.NotReady()
	if len(reasons) == 0 {
		fmt.Fprintln(w, "ready")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	if !h.allowed(r.RemoteAddr) {
		fmt.Fprintln(w, "not ready")
		return
	}
	for _, reason := range few(reasons) {
		fmt.Fprintln(w, plain(reason))
	}
}

func few(reasons []string) []string {
	if len(reasons) <= mostReasons {
		return reasons
	}
	return append(slices.Clip(reasons[:mostReasons]), fmt.Sprintf("and %d more", len(reasons)-mostReasons))
}

func (h *handler) json(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(h.view(asked(r, 1000))) // an error is that of the connection
}

func (h *handler) html(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	h.page.write(w, h.view(asked(r, 100)), r.FormValue("refresh") != "")
}

// clean returns a search text as names are written: in lower case, without white
// space around it.
func clean(query string) string {
	return strings.ToLower(strings.TrimSpace(query[:min(len(query), 255)]))
}
