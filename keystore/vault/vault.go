// Package vault reads and writes DKIM keys in a KV secrets engine, version 1 or 2, of
// HashiCorp Vault or OpenBao, in the layouts of rspamd and KumoMTA, and reads those that Mailu
// gives to rspamd. See keystore/README.md.
package vault

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// Backend is a store of keys in a Vault. Its requests are those of a client that may be far
// away: it lists with one for 10,000 names where the server does so, and reads a domain with
// one, or two where both layouts are there.
type Backend struct {
	address *address
	client  *client
	tokens  *tokens
	settle  time.Duration // how long a write to KV 1 is watched for another's,
	slowest time.Duration // and how long it may take
	page    int           // names of a list that are asked for at once

	mu    sync.Mutex
	mount *mount // nil until it is known
	seen  shape
}

// shape is what the last whole list had below the path.
type shape struct {
	listed           bool
	objects, folders bool
	spelled          map[string]string // names in the store of domains that it spells otherwise
}

// New returns the store that a URL names, with the variables that all clients of Vault and
// OpenBao know for what it does not say. It does not connect yet. Errors are those of the
// URL, of variables, and of files that they name.
func New(url string, env func(string) string) (*Backend, error) {
	a, err := parseAddress(url, env)
	if err != nil {
		return nil, err
	}
	client, err := newClient(a, env)
	if err != nil {
		return nil, err
	}
	tokens, err := newTokens(a, client, env)
	if err != nil {
		return nil, err
	}
	return &Backend{address: a, client: client, tokens: tokens,
		settle: time.Second, slowest: time.Second, page: 10_000}, nil
}

// Name is the URL without its parameters.
func (b *Backend) Name() string { return b.address.name() }

// Files returns the files that are read again while the store is in use: a program that
// gives up rights keeps those to them and to their directories.
func (b *Backend) Files() []string {
	var files []string
	for _, file := range []string{b.tokens.file, b.address.roleIDFile, b.address.secretIDFile, b.address.jwtFile,
		b.client.certFile, b.client.keyFile} {
		if file != "" {
			files = append(files, file)
		}
	}
	return files
}

// Watch returns keystore.ErrNoWatch: the API reports no changes.
func (b *Backend) Watch(context.Context, func(), func(domains ...string)) error {
	return keystore.ErrNoWatch
}

// Close ends its connections, and what it does in the background.
func (b *Backend) Close() error {
	b.tokens.close()
	b.client.http.CloseIdleConnections()
	return nil
}

// ask sends a request with the token, and with a new one where it was refused for its age.
func (b *Backend) ask(ctx context.Context, r request) (a answer, there bool, err error) {
	for again := false; ; again = true {
		token, err := b.tokens.get(ctx)
		if err != nil {
			return a, false, b.failed(r, err)
		}
		sent := r
		sent.token = token
		sent.body = append([]byte(nil), r.body...) // which is wiped
		if r.body == nil {
			sent.body = nil
		}
		response, err := b.client.send(ctx, sent)
		if err != nil {
			return a, false, b.failed(r, err)
		}
		if (response.status == 403 || response.status == 401) && !again && b.tokens.refused(token) {
			continue
		}
		a, there, err = judge(response)
		clear(response.body)
		if err != nil {
			return a, false, b.failed(r, err)
		}
		return a, there, nil
	}
}

// failed says where an error is from.
func (b *Backend) failed(r request, err error) error {
	verb := map[string]string{"GET": "reading", "POST": "writing", "DELETE": "deleting"}[r.method]
	if r.query.Has("list") {
		verb = "listing"
	}
	base := b.client.base
	return fmt.Errorf("vault:%s: %s %s: %w", base.String(), verb, r.path, b.hinted(err))
}

// hinted says how to give a token where there is none.
func (b *Backend) hinted(err error) error {
	if status := statusOf(err); b.noToken() && (status == 400 || status == 401 || status == 403) {
		return finding.WithHint(err, "there is no token: set VAULT_TOKEN, or ?token_file=PATH or ?auth= in the URL")
	}
	return err
}

func (b *Backend) noToken() bool {
	b.tokens.mu.Lock()
	defer b.tokens.mu.Unlock()
	return b.tokens.token == "" && b.tokens.login == nil && b.address.layout != Mailu
}

// Ports returns the port of the server, and that which nodes have to which a standby may
// redirect.
func (b *Backend) Ports() []uint16 {
	port := uint16(443)
	if b.client.base.Scheme == "http" {
		port = 80
	}
	if n, err := strconv.ParseUint(b.client.base.Port(), 10, 16); err == nil {
		port = uint16(n)
	}
	const usual = 8200
	if port == usual || b.address.layout == Mailu {
		return []uint16{port}
	}
	return []uint16{port, usual}
}
