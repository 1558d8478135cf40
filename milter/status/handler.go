package status

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"signpost/keystore/finding"
	"signpost/keystore/rotation/peers"
	"signpost/milter/status/view"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// mostReasons is how many reasons of not being ready are shown.
const mostReasons = 20

// handler answers requests.
type handler struct {
	*viewer
	access Access
	page   *page
}

// NewHandler returns the pages.
func NewHandler(source *Source, recorder *Recorder, access Access, log *slog.Logger) http.Handler {
	h := &handler{viewer: &viewer{source: source, recorder: recorder}, access: access, page: newPage()}
	metrics := promhttp.HandlerFor(NewRegistry(source, recorder), promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", h.health)
	mux.HandleFunc("/readyz", h.ready)
	mux.Handle("/metrics", h.guarded(metrics.ServeHTTP))
	mux.Handle("/{$}", h.guarded(h.html))
	mux.Handle("/status.json", h.guarded(jsonOf(h.all)))
	mux.Handle("/domains.csv", h.guarded(csvOf("domains", h.all, domainRows)))
	mux.Handle("/keys.csv", h.guarded(csvOf("keys", h.all, keyRows)))
	mux.Handle("/messages.json", h.guarded(jsonOf(h.day)))
	mux.Handle("/messages.csv", h.guarded(csvOf("messages", h.day, dayRows)))
	if source.Findings != nil {
		mux.Handle(peers.Path, h.guarded(findingsOf(source.Findings)))
	}
	return h.careful(mux)
}

// careful allows only GET and HEAD, and sends a Content-Security-Policy that allows
// nothing but what is in the page. Who may not see the pages keeps no connection.
func (h *handler) careful(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", h.page.csp)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		if !h.access.peer(r) {
			head.Set("Connection", "close")
		}
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
		if !h.refused(w, r) {
			next(w, r)
		}
	})
}

// refused reports whether a request may not have what names domains and clients, and
// answers it then.
func (h *handler) refused(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case !h.access.peer(r):
		refuse(w, http.StatusForbidden, fmt.Errorf("%s may not see this", r.RemoteAddr),
			"its network is not in --allow-peers")
	case !h.access.host(r):
		refuse(w, http.StatusMisdirectedRequest, fmt.Errorf("%q is not a name of this server", plain(r.Host)),
			"if it is, add it to --http-host")
	default:
		return false
	}
	return true
}

// refuse answers a request with an error.
func refuse(w http.ResponseWriter, code int, err error, advice string) {
	http.Error(w, finding.Text(finding.WithHint(err, advice)), code)
}

// mostFindings is how many nodes are answered at once: all findings of a hundred thousand
// domains take a second to write.
const mostFindings = 4

// findingsOf answers other nodes.
func findingsOf(write func(w io.Writer, since string) error) http.HandlerFunc {
	places := make(chan struct{}, mostFindings)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			refuse(w, http.StatusServiceUnavailable, errors.New("other nodes are being answered"), "ask again")
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = write(w, r.URL.Query().Get("since")) // an error is that of the connection
	}
}

// health answers as long as the process lives.
func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

func few(reasons []string) []string {
	if len(reasons) <= mostReasons {
		return reasons
	}
	return append(slices.Clip(reasons[:mostReasons]), fmt.Sprintf("and %d more", len(reasons)-mostReasons))
}

// all returns the domains that a program asks for, and all else.
func (h *handler) all(r *http.Request) *view.View { return h.view(asked(r, mostDomains)) }

// day returns the messages of the last 24 hours that a program asks for.
func (h *handler) day(r *http.Request) *view.Day {
	day := h.recorder.Steps(asked(r, mostDomains).domain)
	return &day
}

func (h *handler) html(w http.ResponseWriter, r *http.Request) {
	q := asked(r, mostRows)
	shown := h.view(q)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if q.domain != "" && len(shown.Domains) == 0 {
		w.WriteHeader(http.StatusNotFound)
	}
	h.page.write(w, shown, h.recorder.Steps(q.domain), q)
}
