// Package backendtest is for tests of what works with a keystore.Backend: a store in
// memory that keeps the promises of the interface.
package backendtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"signpost/keystore"
)

// Memory is a store in memory. Several goroutines use it at once.
type Memory struct {
	// Before is called before each call with the name of the method; its error is that of
	// the call. It may wait, and is nil for nothing.
	Before func(ctx context.Context, method string) error
	// Blind stores report no changes.
	Blind bool

	mu       sync.Mutex
	domains  map[string]*kept
	changes  int            // it is the version of the last one
	calls    map[string]int // by method
	watchers map[chan string]bool
}

// kept is what there is of a domain.
type kept struct {
	entries  []keystore.Entry // with the data
	retired  []keystore.Entry
	version  int
	notes    []byte
	revision int
}

var _ keystore.Backend = (*Memory)(nil)

// Name is memory:.
func (m *Memory) Name() string { return "memory:" }

// Calls returns how often a method was called.
func (m *Memory) Calls(method string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[method]
}

// Put writes a key as somebody else would, over one that is there, and without a time.
func (m *Memory) Put(domain, selector string, data []byte) {
	m.PutEntry(domain, keystore.Entry{Selector: selector, Data: data})
}

// PutEntry writes an entry of a domain, over one of the same selector. Its place is that of
// the name where it has none.
func (m *Memory) PutEntry(domain string, entry keystore.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.of(domain)
	entry.Data = bytes.Clone(entry.Data)
	entry.Place = cmp.Or(entry.Place, place(domain, entry.Selector))
	d.entries = append(d.without(entry.Selector), entry)
	m.changed(domain)
}

// Delete takes a key away as somebody else would.
func (m *Memory) Delete(domain, selector string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.of(domain)
	d.entries = d.without(selector)
	m.changed(domain)
}

// Retired returns the selectors of a domain that Retire has put away.
func (m *Memory) Retired(domain string) (selectors []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, entry := range m.of(domain).retired {
		selectors = append(selectors, entry.Selector)
	}
	return selectors
}

func (d *kept) find(selector string) int {
	return slices.IndexFunc(d.entries, func(e keystore.Entry) bool { return e.Selector == selector })
}

func (d *kept) without(selector string) []keystore.Entry {
	return slices.DeleteFunc(d.entries, func(e keystore.Entry) bool { return e.Selector == selector })
}

func place(domain, selector string) string { return "memory: " + selector + "." + domain }

// of returns what there is of a domain, which may be nothing.
func (m *Memory) of(domain string) *kept {
	if m.domains == nil {
		m.domains = make(map[string]*kept)
	}
	d := m.domains[domain]
	if d == nil {
		d = new(kept)
		m.domains[domain] = d
	}
	return d
}

func (m *Memory) changed(domain string) {
	m.changes++
	m.of(domain).version = m.changes
	for watcher := range m.watchers {
		watcher <- domain
	}
}

// begin is the begin of a call. Who gets no error has the lock.
func (m *Memory) begin(ctx context.Context, method string) error {
	m.mu.Lock()
	if m.calls == nil {
		m.calls = make(map[string]int)
	}
	m.calls[method]++
	m.mu.Unlock()
	if m.Before != nil {
		if err := m.Before(ctx, method); err != nil {
			return fmt.Errorf("%s: %w", m.Name(), err)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", m.Name(), err)
	}
	m.mu.Lock()
	return nil
}

// List is that of keystore.Backend, as are the following.
func (m *Memory) List(ctx context.Context, found func(domain, version string)) error {
	if err := m.begin(ctx, "List"); err != nil {
		return err
	}
	versions := make(map[string]string)
	for name, d := range m.domains {
		if len(d.entries) > 0 {
			versions[name] = strconv.Itoa(d.version)
		}
	}
	m.mu.Unlock()
	for name := range maps.Keys(versions) {
		found(name, versions[name])
	}
	return nil
}

func (m *Memory) Read(ctx context.Context, domains []string) ([][]keystore.Entry, error) {
	if err := m.begin(ctx, "Read"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	all := make([][]keystore.Entry, len(domains))
	for i, name := range domains {
		for _, entry := range m.of(name).entries {
			entry.Data = bytes.Clone(entry.Data)
			all[i] = append(all[i], entry)
		}
	}
	return all, nil
}

func (m *Memory) Watch(ctx context.Context, ready func(), changed func(domains ...string)) error {
	if err := m.begin(ctx, "Watch"); err != nil {
		return err
	}
	if m.Blind {
		m.mu.Unlock()
		return keystore.ErrNoWatch
	}
	const many = 1 << 16 // who writes does not wait for who watches
	watcher := make(chan string, many)
	if m.watchers == nil {
		m.watchers = make(map[chan string]bool)
	}
	m.watchers[watcher] = true
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, watcher)
	}()
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case domain, open := <-watcher:
			if !open {
				return errors.New("memory: what is reported has a gap")
			}
			changed(domain)
		}
	}
}

// Interrupt ends the calls of Watch, as a store that restarts does.
func (m *Memory) Interrupt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for watcher := range m.watchers {
		close(watcher)
		delete(m.watchers, watcher)
	}
}

func (m *Memory) Add(ctx context.Context, domain, selector string, key []byte, made time.Time) (string, error) {
	if err := m.begin(ctx, "Add"); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	d, at := m.of(domain), place(domain, selector)
	if d.find(selector) >= 0 {
		return "", fmt.Errorf("%s: %w", at, fs.ErrExist)
	}
	entry := keystore.Entry{Selector: selector, Place: at, Data: bytes.Clone(key), Made: made}
	d.entries = append(d.entries, entry)
	m.changed(domain)
	return at, nil
}

func (m *Memory) Retire(ctx context.Context, key *keystore.Key) (string, error) {
	if err := m.begin(ctx, "Retire"); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	d, at := m.of(key.Domain), place(key.Domain, key.Selector)
	i := d.find(key.Selector)
	if i < 0 {
		return "", fmt.Errorf("%s: %w", at, fs.ErrNotExist)
	}
	there, err := keystore.ParsePrivate(d.entries[i].Data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", at, err)
	}
	if !key.Equal(&keystore.Key{Domain: key.Domain, Selector: key.Selector, Signer: there}) {
		return "", fmt.Errorf("%s: another key has taken its name: %w", at, keystore.ErrConflict)
	}
	d.retired = append(d.retired, d.entries[i])
	d.entries = d.without(key.Selector)
	m.changed(key.Domain)
	return "memory: retired " + key.Selector + "." + key.Domain, nil
}

// Archived reports whether a key of that name was retired.
func (m *Memory) Archived(ctx context.Context, domain, selector string) (bool, error) {
	if err := m.begin(ctx, "Archived"); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.of(domain).retired, func(e keystore.Entry) bool { return e.Selector == selector }), nil
}

func (m *Memory) Notes(ctx context.Context, domain string) ([]byte, string, error) {
	if err := m.begin(ctx, "Notes"); err != nil {
		return nil, "", err
	}
	defer m.mu.Unlock()
	d := m.of(domain)
	return bytes.Clone(d.notes), strconv.Itoa(d.revision), nil
}

func (m *Memory) WriteNotes(ctx context.Context, domain string, notes []byte, revision string) error {
	if err := m.begin(ctx, "WriteNotes"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	d := m.of(domain)
	if strconv.Itoa(d.revision) != revision {
		return fmt.Errorf("memory: the notes of %s: %w", domain, keystore.ErrConflict)
	}
	d.notes = bytes.Clone(notes)
	d.revision++
	return nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }
