package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"signpost/keystore/finding"
)

// mount is where a secrets engine is, and the keys in it.
type mount struct {
	path string // as "secret"
	kv   int    // 1 or 2
	keys string // below the mount, as "dkim"; may be ""
}

// secret returns the path of the API of what is below the path of the keys.
func (m *mount) secret(names ...string) string { return m.in("data", names) }

// list returns the path of the API of a list.
func (m *mount) list(names ...string) string { return m.in("metadata", names) }

func (m *mount) in(kind string, names []string) string {
	parts := []string{m.path}
	if m.kv == 2 {
		parts = append(parts, kind)
	}
	if m.keys != "" {
		parts = append(parts, m.keys)
	}
	return strings.Join(append(parts, names...), "/")
}

// where finds out where the secrets engine is mounted and which version it has, once. The
// server says so to whoever may use the mount. Where it does not, the URL has to, or one of
// the two versions answers in a way that the other cannot.
func (b *Backend) where(ctx context.Context) (*mount, error) {
	b.mu.Lock()
	m := b.mount
	b.mu.Unlock()
	if m != nil {
		return m, nil
	}
	m, err := b.findMount(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.mount = m
	b.mu.Unlock()
	return m, nil
}

// lost forgets the mount after an answer that there is none: it may be another one now.
func (b *Backend) lost(err error) {
	if statusOf(err) == http.StatusNotFound {
		b.mu.Lock()
		b.mount = nil
		b.mu.Unlock()
	}
}

func statusOf(err error) int {
	var r *refused
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

func (b *Backend) findMount(ctx context.Context) (*mount, error) {
	a := b.address
	if a.layout == Mailu {
		return &mount{path: a.path, kv: 1}, nil
	}
	found, err := b.askMount(ctx)
	switch {
	case err == nil:
	case statusOf(err) != http.StatusForbidden && statusOf(err) != http.StatusNotFound, b.noToken():
		return nil, err
	default:
		found = mount{path: a.mount, kv: a.kv}
		if found.path == "" {
			found.path, _, _ = strings.Cut(a.path, "/")
		}
	}
	switch {
	case a.mount != "" && a.mount != found.path:
		return nil, finding.WithHint(fmt.Errorf("%s: the mount is %s, not %s", b.Name(), found.path, a.mount),
			"correct ?mount= in the URL, or leave it out")
	case a.kv != 0 && a.kv != found.kv:
		return nil, finding.WithHint(
			fmt.Errorf("%s: the mount %s is KV version %d, not %d", b.Name(), found.path, found.kv, a.kv),
			"correct ?kv= in the URL, or leave it out")
	}
	found.keys = strings.TrimPrefix(strings.TrimPrefix(a.path, found.path), "/")
	if found.kv == 0 {
		return b.tryVersions(ctx, found)
	}
	return &found, nil
}

// askMount asks the server, as its own command line does.
func (b *Backend) askMount(ctx context.Context) (mount, error) {
	a, there, err := b.ask(ctx, request{method: http.MethodGet, path: "sys/internal/ui/mounts/" + b.address.path})
	if err != nil {
		return mount{}, err
	}
	var info struct {
		Path, Type string
		Options    struct{ Version string }
	}
	if !there || json.Unmarshal(a.Data, &info) != nil || strings.Trim(info.Path, "/") == "" {
		return mount{}, &refused{http.StatusNotFound, "the server does not say what is mounted there"}
	}
	m := mount{path: strings.Trim(info.Path, "/"), kv: 1}
	switch {
	case info.Type != "kv" && info.Type != "generic":
		return m, finding.WithHint(
			fmt.Errorf("%s: the mount %s is a secrets engine of type %.40q, not kv", b.Name(), m.path, info.Type),
			"give the path of a KV secrets engine in the URL")
	case !within(b.address.path, m.path):
		return m, fmt.Errorf("%s: the server says that this path is in the mount %.200q", b.Name(), m.path)
	case info.Options.Version == "2":
		m.kv = 2
	}
	return m, nil
}

// within reports whether a path is a folder or below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// tryVersions lists as version 2 and as 1. Only a list that is there tells: that nothing is
// in a place that only one version has, both would say.
func (b *Backend) tryVersions(ctx context.Context, m mount) (*mount, error) {
	var first error
	for _, kv := range []int{2, 1} {
		m.kv = kv
		_, there, err := b.ask(ctx, listRequest(m.list(), "", 0))
		switch status := statusOf(err); {
		case there:
			return &m, nil
		case kv == 1 && status == http.StatusNotFound && strings.Contains(err.Error(), "versioned K/V"):
			m.kv = 2
			return &m, nil
		case err != nil && status != http.StatusForbidden:
			return nil, err
		case err != nil && first == nil:
			first = err
		}
	}
	if first != nil {
		what, _ := finding.Split(first)
		return nil, finding.WithHint(fmt.Errorf("the version of KV is not known: %s", what),
			"is the path right? If so, set ?kv=1 or ?kv=2 in the URL, or give the token a policy for the path "+
				"as keystore/README.md has it")
	}
	return nil, finding.WithHint(fmt.Errorf("%s: the version of KV is not known, for nothing is there yet", b.Name()),
		"set ?kv=1 or ?kv=2 in the URL, or allow the token to read sys/internal/ui/mounts/%s", m.path)
}

func listRequest(path, after string, limit int) request {
	query := url.Values{"list": {"true"}}
	if limit > 0 {
		query.Set("limit", fmt.Sprint(limit))
	}
	if after != "" {
		query.Set("after", after)
	}
	return request{method: http.MethodGet, path: path, query: query}
}
