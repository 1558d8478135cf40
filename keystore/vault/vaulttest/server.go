// Package vaulttest imitates, for tests, the part of the API of HashiCorp Vault and OpenBao
// that key stores use: KV 1 and 2, AppRole and Kubernetes logins, tokens and policies. It is
// strict: what a real server would ignore or only warn of, it reports.
package vaulttest

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Root is a token that may do everything.
const Root = "hvs.root"

// Server is an API with its store in memory. It is an http.Handler.
type Server struct {
	URL string // where it listens, once it does

	mu       sync.Mutex
	mounts   []*mount
	tokens   map[string]*lease
	logins   map[string]login // by path
	faults   Faults
	ahead    time.Duration // of the clock
	requests []string
	strange  []string
	issued   int
}

// Faults is how a server behaves that is not well, or not simple.
type Faults struct {
	Sealed    bool          // 503
	Delay     time.Duration // before each answer, or until the request ends
	Status    int           // instead of an answer, with Body
	Body      string
	Only      string // the faults are of requests whose path has this; of all where it is empty
	Cut       bool   // answers end in the middle
	Active    string // a standby: redirects to the server at this URL
	Paged     bool   // LIST knows limit and after
	Namespace string // the only one that has anything
	Agent     bool   // as the listener of an agent with require_request_header
	NoMounts  bool   // nobody may ask which mounts there are
}

// New returns a server with no mounts. It serves nothing until it is given a listener.
func New() *Server {
	return &Server{
		tokens: map[string]*lease{Root: {policy: Policy{"*": {"create", "read", "update", "delete", "list"}}}},
		logins: map[string]login{},
	}
}

// Start serves on 127.0.0.1 until the test ends, which fails if a request was not as the
// API has it.
func Start(t testing.TB) *Server {
	s := New()
	web := httptest.NewServer(s)
	s.URL = web.URL
	s.endWith(t, web)
	return s
}

// StartTLS serves with TLS and HTTP/2, and returns a file with the certificate.
func StartTLS(t testing.TB) (s *Server, ca string) {
	s = New()
	web := httptest.NewUnstartedServer(s)
	web.EnableHTTP2 = true
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
	web.StartTLS()
	s.URL = web.URL
	s.endWith(t, web)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, ca
}

func (s *Server) endWith(t testing.TB, web *httptest.Server) {
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		for _, what := range s.Strange() {
			t.Errorf("a request was not as the API of Vault has it: %s", what)
		}
	})
}

// Set changes how the server behaves from the next request on.
func (s *Server) Set(faults Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
}

// Advance moves the clock by which tokens expire.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

// Requests returns the requests so far, as "GET secret/data/dkim/example.org".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Strange returns what was not as the API has it.
func (s *Server) Strange() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.strange)
}

// call is a request while it is answered. The server is locked.
type call struct {
	*Server
	w         http.ResponseWriter
	operation string // a capability of policies: read, list, update or delete
	path      string // below /v1/
	body      map[string]json.RawMessage
	token     *lease
	tokenName string
	header    http.Header
	query     map[string][]string
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	faults := s.faults
	s.mu.Unlock()
	if faults.Only != "" && !strings.Contains(r.URL.Path, faults.Only) {
		faults = Faults{Paged: faults.Paged, Namespace: faults.Namespace, Agent: faults.Agent}
	}
	if faults.Cut {
		w = &cutter{ResponseWriter: w}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 32<<20))
	if err != nil {
		return
	}
	if faults.Delay > 0 {
		select {
		case <-time.After(faults.Delay):
		case <-r.Context().Done():
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Server: s, w: w, header: r.Header, query: r.URL.Query()}
	if !c.parse(r, body) {
		return
	}
	s.requests = append(s.requests, r.Method+" "+c.path)
	switch {
	case faults.Agent && r.Header.Get("X-Vault-Request") != "true":
		c.errors(http.StatusPreconditionFailed, "missing 'X-Vault-Request' header")
	case faults.Active != "":
		w.Header().Set("Location", faults.Active+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	case faults.Sealed:
		c.errors(http.StatusServiceUnavailable, "Vault is sealed")
	case faults.Status != 0:
		w.WriteHeader(faults.Status)
		_, _ = io.WriteString(w, faults.Body)
	default:
		c.answer()
	}
}

// parse reads the request into the call, and answers it if it makes no sense.
func (c *call) parse(r *http.Request, body []byte) bool {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	c.path = strings.TrimSuffix(path, "/")
	if !ok || strings.Contains(path, "//") || c.path == "" {
		c.oddity(r, "invalid path")
		c.errors(http.StatusNotFound)
		return false
	}
	list := r.Method == "LIST" || c.query["list"] != nil
	switch {
	case list && (r.Method == "LIST" || r.Method == http.MethodGet):
		c.operation = "list"
	case r.Method == http.MethodGet:
		c.operation = "read"
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		c.operation = "update"
	case r.Method == http.MethodDelete:
		c.operation = "delete"
	default:
		c.oddity(r, "unknown method")
		c.errors(http.StatusMethodNotAllowed)
		return false
	}
	for name, values := range c.query {
		known := c.operation == "list" && slices.Contains([]string{"list", "limit", "after"}, name)
		if !known || len(values) != 1 {
			c.oddity(r, "unknown parameter "+name)
		}
	}
	if c.operation != "update" {
		if len(bytes.TrimSpace(body)) > 0 {
			c.oddity(r, "a body")
		}
		return true
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		c.oddity(r, "Content-Type "+kind)
	}
	if err := json.Unmarshal(body, &c.body); err != nil {
		c.oddity(r, "the body is not a JSON object")
		c.errors(http.StatusBadRequest, "error parsing JSON")
		return false
	}
	return true
}

func (c *call) oddity(r *http.Request, what string) {
	c.strange = append(c.strange, fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, what))
}

func (c *call) answer() {
	if login, ok := c.logins[c.path]; ok {
		c.login(login)
		return
	}
	if !c.authenticate() {
		return
	}
	if path, ok := strings.CutPrefix(c.path, "sys/internal/ui/mounts/"); ok && c.operation == "read" {
		c.mountOf(path)
		return
	}
	switch c.operation + " " + c.path {
	case "update auth/token/renew-self":
		c.renew()
		return
	case "read auth/token/lookup-self":
		c.lookup()
		return
	}
	m := c.mountFor(c.path)
	switch {
	case m == nil && c.tokenName != Root:
		c.denied()
	case m == nil:
		c.errors(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", c.path))
	case m.version == 1:
		c.kv1(m)
	default:
		c.kv2(m)
	}
}

// errors answers as the API does where something is wrong, or nothing there.
func (c *call) errors(status int, errors ...string) {
	if errors == nil {
		errors = []string{}
	}
	c.json(status, map[string]any{"errors": errors})
}

func (c *call) denied() {
	c.errors(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
}

// data answers with what is in the envelope that all answers have.
func (c *call) data(status int, data any, warnings ...string) {
	c.envelope(status, data, nil, warnings)
}

func (c *call) envelope(status int, data, auth any, warnings []string) {
	c.issued++
	c.json(status, map[string]any{
		"request_id": fmt.Sprintf("00000000-0000-0000-0000-%012d", c.issued), "lease_id": "", "renewable": false,
		"lease_duration": 0, "data": data, "wrap_info": nil, "warnings": warnings, "auth": auth,
	})
}

func (c *call) json(status int, what any) {
	text, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(append(text, '\n'))
}

// cutter lets the first half of an answer through.
type cutter struct{ http.ResponseWriter }

func (w *cutter) Write(p []byte) (int, error) {
	_, _ = w.ResponseWriter.Write(p[:len(p)/2])
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}
