package vaulttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

type mount struct {
	path    string
	version int // 1 or 2
	secrets map[string][]version
}

// version is a version of a secret; KV 1 has only the last.
type version struct {
	data    map[string]json.RawMessage
	created time.Time
	deleted time.Time
}

// Mount adds a secrets engine of KV version 1 or 2.
func (s *Server) Mount(path string, kv int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts = append(s.mounts, &mount{path, kv, map[string][]version{}})
}

// Put writes a secret: fields, or a text with a JSON object. The path is that of the
// secret, as "secret/dkim/example.org", whatever the version of the mount.
func (s *Server) Put(path string, secret any) {
	text, ok := secret.(string)
	if !ok {
		encoded, err := json.Marshal(secret)
		if err != nil {
			panic(err)
		}
		text = string(encoded)
	}
	var data map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mountFor(path)
	m.write(strings.TrimPrefix(path, m.path+"/"), data, s.now())
}

// Get returns a secret as JSON, nil where there is none, and how often it was written.
func (s *Server) Get(path string) (secret []byte, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mountFor(path)
	versions := m.secrets[strings.TrimPrefix(path, m.path+"/")]
	if len(versions) == 0 {
		return nil, 0
	}
	last := versions[len(versions)-1]
	if !last.deleted.IsZero() {
		return nil, len(versions)
	}
	secret, err := json.Marshal(last.data)
	if err != nil {
		panic(err)
	}
	return secret, len(versions)
}

// Delete deletes a secret: with KV 2, its last version.
func (s *Server) Delete(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mountFor(path)
	m.delete(strings.TrimPrefix(path, m.path+"/"), s.now())
}

func (s *Server) mountFor(path string) *mount {
	for _, m := range s.mounts {
		if path == m.path || strings.HasPrefix(path, m.path+"/") {
			return m
		}
	}
	return nil
}

func (m *mount) write(name string, data map[string]json.RawMessage, now time.Time) {
	if m.version == 1 {
		m.secrets[name] = nil
	}
	m.secrets[name] = append(m.secrets[name], version{data: data, created: now})
}

func (m *mount) delete(name string, now time.Time) {
	versions := m.secrets[name]
	switch {
	case m.version == 1:
		delete(m.secrets, name)
	case len(versions) > 0:
		versions[len(versions)-1].deleted = now
	}
}

// names returns what is in a folder.
func (m *mount) names(folder string) []string {
	if folder != "" {
		folder += "/"
	}
	found := map[string]bool{}
	for name := range m.secrets {
		if rest, ok := strings.CutPrefix(name, folder); ok {
			if first, _, deeper := strings.Cut(rest, "/"); deeper {
				found[first+"/"] = true
			} else {
				found[first] = true
			}
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// mountOf answers which mount a path is in, to tokens that have any right there.
func (c *call) mountOf(asked string) {
	m := c.mountFor(asked)
	refuse := m == nil || c.faults.NoMounts
	if !refuse {
		refuse = true
		for pattern := range c.token.policy {
			if pattern == "*" || strings.HasPrefix(pattern, m.path+"/") {
				refuse = false
			}
		}
	}
	if refuse {
		c.errors(http.StatusForbidden, fmt.Sprintf("preflight capability check returned 403, "+
			"please ensure client's policies grant access to path %q", asked+"/"))
		return
	}
	c.data(http.StatusOK, map[string]any{"path": m.path + "/", "type": "kv",
		"options": map[string]string{"version": strconv.Itoa(m.version)}})
}

func (c *call) kv1(m *mount) {
	name := strings.TrimPrefix(strings.TrimPrefix(c.path, m.path), "/")
	versions := m.secrets[name]
	if c.operation == "update" {
		if !c.mayWrite(len(versions) > 0) {
			return
		}
		if len(c.body) == 0 {
			c.errors(http.StatusBadRequest, "missing data fields")
			return
		}
		m.write(name, c.body, c.now())
		c.w.WriteHeader(http.StatusNoContent)
		return
	}
	if !c.may(c.operation) {
		return
	}
	switch {
	case c.operation == "list":
		c.list(m.names(name), false)
	case c.operation == "delete":
		m.delete(name, c.now())
		c.w.WriteHeader(http.StatusNoContent)
	case len(versions) == 0:
		c.errors(http.StatusNotFound)
	default:
		c.data(http.StatusOK, versions[0].data)
	}
}

// mayWrite is for writing, which is creating where there was nothing.
func (c *call) mayWrite(there bool) bool {
	if there {
		return c.may("update")
	}
	return c.may("create")
}

func (c *call) kv2(m *mount) {
	kind, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(c.path, m.path), "/"), "/")
	versions := m.secrets[name]
	switch c.operation + " " + kind {
	case "list metadata":
		if c.may("list") {
			c.list(m.names(name), c.faults.Paged)
		}
	case "read data":
		if c.may("read") {
			c.readVersion(versions)
		}
	case "update data":
		if c.mayWrite(len(versions) > 0) {
			c.writeVersion(m, name)
		}
	case "delete data":
		if c.may("delete") {
			m.delete(name, c.now())
			c.w.WriteHeader(http.StatusNoContent)
		}
	default:
		if c.may(c.operation) {
			c.data(http.StatusNotFound, nil, "Invalid path for a versioned K/V secrets engine. See the API docs for the "+
				"appropriate API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation.")
		}
	}
}

func (v version) metadata(n int) map[string]any {
	deleted := ""
	if !v.deleted.IsZero() {
		deleted = v.deleted.UTC().Format(time.RFC3339Nano)
	}
	return map[string]any{"created_time": v.created.UTC().Format(time.RFC3339Nano), "custom_metadata": nil,
		"deletion_time": deleted, "destroyed": false, "version": n}
}

func (c *call) readVersion(versions []version) {
	if len(versions) == 0 {
		c.errors(http.StatusNotFound)
		return
	}
	last := versions[len(versions)-1]
	metadata := last.metadata(len(versions))
	if !last.deleted.IsZero() {
		c.data(http.StatusNotFound, map[string]any{"data": nil, "metadata": metadata})
		return
	}
	c.data(http.StatusOK, map[string]any{"data": last.data, "metadata": metadata})
}

func (c *call) writeVersion(m *mount, name string) {
	var body struct {
		Data    map[string]json.RawMessage
		Options struct{ CAS *int }
	}
	text, _ := json.Marshal(c.body)
	if err := json.Unmarshal(text, &body); err != nil || body.Data == nil {
		c.errors(http.StatusBadRequest, "no data provided")
		return
	}
	for field := range c.body {
		if field != "data" && field != "options" {
			c.strange = append(c.strange, "writing "+c.path+" with "+field)
		}
	}
	if cas := body.Options.CAS; cas != nil && *cas != len(m.secrets[name]) {
		c.errors(http.StatusBadRequest, "check-and-set parameter did not match the current version")
		return
	}
	m.write(name, body.Data, c.now())
	versions := m.secrets[name]
	c.data(http.StatusOK, versions[len(versions)-1].metadata(len(versions)))
}

// list answers with names, or a page of them.
func (c *call) list(names []string, paged bool) {
	if paged {
		after := strings.Join(c.query["after"], "")
		names = slices.DeleteFunc(names, func(name string) bool { return after != "" && name <= after })
		limit, err := strconv.Atoi(strings.Join(c.query["limit"], ""))
		if err == nil && limit > 0 && len(names) > limit {
			names = names[:limit]
		}
	}
	if len(names) == 0 && !paged && c.query["limit"] != nil {
		c.data(http.StatusOK, map[string]any{}, "Endpoint ignored these unrecognized parameters: [limit]")
		return
	}
	if len(names) == 0 {
		c.errors(http.StatusNotFound)
		return
	}
	c.data(http.StatusOK, map[string]any{"keys": names})
}

// Mailu serves Mailu's endpoint for rspamd in place of this API: domains with the PEM of
// their one key.
func Mailu(selector string, keys map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		domain := path.Base(r.URL.Path)
		if r.URL.Path != "/internal/rspamd/vault/v1/dkim/"+domain || r.Method != http.MethodGet || r.URL.RawQuery != "" {
			http.Error(w, "<!doctype html>\n<title>404 Not Found</title>", http.StatusNotFound)
			return
		}
		selectors := []map[string]string{}
		if key, ok := keys[domain]; ok {
			selectors = append(selectors, map[string]string{"domain": domain, "key": key, "selector": selector})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"selectors": selectors}})
	})
}

// Replace has the server have the mounts of another.
func (s *Server) Replace(other *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts = other.mounts
}
