package vaulttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Policy is what a token may do: capabilities (create, read, update, delete, list) by path. A
// "*" at the end of a path stands for any rest, and "+" for one segment.
type Policy map[string][]string

// Lease is how long a token lives.
type Lease struct {
	TTL       time.Duration // for ever where it is 0
	Renewable bool
	Max       time.Duration // from its start on, however often it is renewed; no limit where it is 0
}

type lease struct {
	Lease
	policy  Policy
	start   time.Time
	expires time.Time
}

// login is what a login takes and gives.
type login struct {
	fields map[string]string
	policy Policy
	lease  Lease
}

// Token makes a token.
func (s *Server) Token(token string, policy Policy, l Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addToken(token, policy, l)
}

// Revoke ends a token, or all but Root where token is empty.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.tokens {
		if name == token || token == "" && name != Root {
			delete(s.tokens, name)
		}
	}
}

// AppRole allows a login by AppRole; mount is mostly "approle".
func (s *Server) AppRole(mount, roleID, secretID string, policy Policy, l Lease) {
	s.allowLogin(mount, login{map[string]string{"role_id": roleID, "secret_id": secretID}, policy, l})
}

// Kubernetes allows a login by Kubernetes; mount is mostly "kubernetes".
func (s *Server) Kubernetes(mount, role, jwt string, policy Policy, l Lease) {
	s.allowLogin(mount, login{map[string]string{"role": role, "jwt": jwt}, policy, l})
}

func (s *Server) allowLogin(mount string, l login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins["auth/"+mount+"/login"] = l
}

func (s *Server) now() time.Time { return time.Now().Add(s.ahead) }

func (s *Server) addToken(token string, policy Policy, l Lease) {
	made := &lease{Lease: l, policy: policy, start: s.now()}
	if l.TTL > 0 {
		made.expires = made.start.Add(l.TTL)
	}
	s.tokens[token] = made
}

// authenticate finds the token of a request, or answers it.
func (c *call) authenticate() bool {
	c.tokenName = c.header.Get("X-Vault-Token")
	token, ok := c.tokens[c.tokenName]
	switch {
	case c.tokenName == "":
		c.errors(http.StatusForbidden, "missing client token")
		return false
	case !ok || !token.expires.IsZero() && !c.now().Before(token.expires), c.otherNamespace():
		c.errors(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
		return false
	}
	c.token = token
	return true
}

func (c *call) otherNamespace() bool {
	return strings.Trim(c.header.Get("X-Vault-Namespace"), "/") != c.faults.Namespace
}

// may reports whether the token has a capability on the path, and answers if not.
func (c *call) may(capability string) bool {
	for pattern, capabilities := range c.token.policy {
		path := c.path
		if capability == "list" && strings.HasSuffix(pattern, "/") {
			path += "/"
		}
		if matches(pattern, path) && slices.Contains(capabilities, capability) {
			return true
		}
	}
	c.denied()
	return false
}

func matches(pattern, path string) bool {
	prefix := strings.HasSuffix(pattern, "*")
	want := strings.Split(strings.TrimSuffix(pattern, "*"), "/")
	have := strings.Split(path, "/")
	for i, segment := range want {
		last := i == len(want)-1
		switch {
		case i >= len(have):
			return false
		case last && prefix:
			return strings.HasPrefix(have[i], segment)
		case segment != "+" && segment != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}

func (c *call) login(l login) {
	if c.otherNamespace() || c.operation != "update" {
		c.errors(http.StatusForbidden, "permission denied")
		return
	}
	for name, want := range l.fields {
		var have string
		if err := json.Unmarshal(c.body[name], &have); err != nil || have != want {
			c.errors(http.StatusBadRequest, "invalid role or secret ID")
			return
		}
	}
	for name := range c.body {
		if _, ok := l.fields[name]; !ok {
			c.strange = append(c.strange, "login with "+name)
		}
	}
	name := fmt.Sprintf("hvs.login-%d", c.issued)
	c.addToken(name, l.policy, l.lease)
	c.auth(name, c.tokens[name])
}

func (c *call) auth(name string, token *lease) {
	c.envelope(http.StatusOK, nil, map[string]any{
		"client_token": name, "accessor": "accessor", "policies": []string{"default"}, "metadata": nil,
		"lease_duration": int(token.left(c.now()).Seconds()), "renewable": token.Renewable,
		"token_type": "service", "orphan": true,
	}, nil)
}

func (l *lease) left(now time.Time) time.Duration {
	if l.expires.IsZero() {
		return 0
	}
	return l.expires.Sub(now).Round(time.Second)
}

func (c *call) renew() {
	if !c.token.Renewable {
		c.errors(http.StatusBadRequest, "lease is not renewable")
		return
	}
	c.token.expires = c.now().Add(c.token.TTL)
	if end := c.token.start.Add(c.token.Max); c.token.Max > 0 && end.Before(c.token.expires) {
		c.token.expires = end
	}
	c.auth(c.tokenName, c.token)
}

func (c *call) lookup() {
	c.data(http.StatusOK, map[string]any{
		"ttl": int(c.token.left(c.now()).Seconds()), "renewable": c.token.Renewable,
		"creation_ttl": int(c.token.TTL.Seconds()), "type": "service",
	})
}
