package status

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// Readiness says what could be signed now. One domain of many that cannot be is no
// reason to take the mail of all others away from signpostd.
type Readiness struct {
	Down       []string     // why nothing can be signed; none when signpostd is ready
	Unsignable []Unsignable // domains whose mail is deferred, in their order
}

// Unsignable is a domain that cannot be signed.
type Unsignable struct{ Domain, Why string }

func (u Unsignable) String() string { return u.Domain + ": " + u.Why }

func (u Unsignable) line() string { return "cannot sign: " + u.String() }

// unsigned returns the domains that cannot be signed as they are shown.
func (r Readiness) unsigned() (texts []string) {
	for _, u := range r.Unsignable {
		texts = append(texts, u.String())
	}
	return few(texts)
}

// readiness says whether the milter takes connections and has a key, and which
// domains that have keys or must be signed it cannot sign.
func (f *Facts) readiness() (r Readiness) {
	if !f.Serving.Load() {
		r.Down = append(r.Down, "the milter does not take connections: it starts or stops")
	}
	keys := f.Store.Snapshot()
	stores, place := f.Store.Answers(), "the key directory"
	if len(stores) > 0 {
		place = f.Store.Name()
	}
	if usable, unread := keys.Count(); usable+unread == 0 && r.silent(stores) == 0 {
		r.Down = append(r.Down, finding.Text(finding.WithHint(
			errors.New("there is no usable key"), "put one into %s, it is loaded at once", place)))
	}
	for _, domain := range f.doubtful(keys) {
		if err := f.signs(domain); err != nil {
			r.Unsignable = append(r.Unsignable, Unsignable{domain, finding.Text(err)})
		}
	}
	return r
}

// silent notes which stores have not answered since the start, and returns how many.
func (r *Readiness) silent(stores []keystore.Answers) (n int) {
	for _, store := range stores {
		if !store.Listed && store.Err != nil {
			n++
			r.Down = append(r.Down, unheard(store.Store, finding.Text(store.Err)))
		}
	}
	return n
}

func unheard(store, why string) string {
	return fmt.Sprintf("%s has not answered since the start: %s", store, why)
}

// doubtful returns the domains that it takes a look at to tell whether they are signed.
func (f *Facts) doubtful(keys *keystore.Snapshot) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.indexKeys(keys)
	names := slices.Clone(f.Domains)
	if also := f.Rules.Also.Domain; also != "" {
		names = append(names, also)
	}
	for domain := range f.problems {
		if domain != "" {
			names = append(names, domain)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// signs says why mail from a domain is not signed.
func (f *Facts) signs(name string) error {
	domain, err := keystore.Domain(name)
	if err == nil {
		_, _, err = f.Rules.Keys(domain, f.Book.Signing)
	}
	return err
}

// ready answers whether signpostd can sign anything, and what the request asks for
// beside that: mail of a domain, or of all domains that have keys or must be signed.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	state := h.source.Readiness()
	ready := len(state.Down) == 0
	if query.Has("all") && query.Get("all") != "0" && len(state.Unsignable) > 0 {
		ready = false
	}
	if query.Has("domain") && h.refused(w, r) {
		return // which domains are ours is not for everybody
	}
	lines := slices.Clone(state.Down)
	for _, domain := range query["domain"] {
		if err := h.source.Signs(clean(domain)); err != nil {
			ready = false
			lines = append(lines, Unsignable{clean(domain), finding.Text(err)}.line())
		}
	}
	asked := lines
	for _, domain := range state.Unsignable {
		if line := domain.line(); !slices.Contains(asked, line) {
			lines = append(lines, line)
		}
	}
	for _, store := range h.stores() {
		line := fmt.Sprintf("%s does not answer: %s", store.Name, store.Why)
		if !store.Listed {
			line = unheard(store.Name, store.Why)
		}
		if store.Why != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if held := h.held(); held != nil {
		lines = append(lines, fmt.Sprintf("keys held: %d: %s", held.Keys, held.Why))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if ready {
		fmt.Fprintln(w, "ready")
	} else {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready")
	}
	if !h.access.peer(r) || !h.access.host(r) {
		return
	}
	for _, line := range few(lines) {
		fmt.Fprintln(w, plain(line))
	}
}
