package redis

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"signpost/keystore"
)

// Backend is a store of keys in Redis or Valkey.
type Backend struct {
	servers *servers
	names   *names
	layouts layouts
	turn    chan struct{} // held by who lists the names or computes digests
	// noScripts says that the user may run none.
	noScripts atomic.Bool
}

var _ keystore.Backend = (*Backend)(nil)

// New returns the store at a URL, without connecting. Errors name the part of the URL that
// is wrong. keystore/README.md has the grammar.
func New(url string) (*Backend, error) {
	c, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("store in Redis: %w", err)
	}
	return &Backend{servers: newServers(c), names: newNames(), turn: make(chan struct{}, 1)}, nil
}

// Name is the URL without user, password and parameters, but for those that tell it from
// another store on the same server.
func (b *Backend) Name() string {
	c := b.servers.config
	switch {
	case c.prefix != "":
		return c.name() + "?prefix=" + c.prefix
	case c.layout != "":
		return c.name() + "?layout=" + c.layout
	}
	return c.name()
}

// Close ends the idle connections; no call connects any more.
func (b *Backend) Close() error {
	b.servers.close()
	return nil
}

// List lists the names of the keys: one round trip for a hash, whatever it has. A version
// counts the changes that this Backend has seen of the domain. For keys that Read has
// returned before, and only for those, the server computes digests, unless it would have
// reported a change since the last time.
func (b *Backend) List(ctx context.Context, found func(domain, version string)) error {
	if err := b.refresh(ctx, time.Now()); err != nil {
		return b.explain(err)
	}
	if err := b.compare(ctx); err != nil {
		return b.explain(err)
	}
	b.names.each(found)
	return nil
}

// Ignored returns fields of the hash of keys that are not <selector>.<domain>, as of the last
// List: a hundred at most.
func (b *Backend) Ignored() []string {
	b.names.mu.Lock()
	defer b.names.mu.Unlock()
	return slices.Clone(b.names.ignored)
}

// place is where a key is, for people.
func (b *Backend) place(hash, field string) string {
	return b.servers.name() + ": " + hash + " " + field
}

var _ keystore.Reaching = (*Backend)(nil)

// Ports is the port of the server; all where Sentinels or a Cluster name others.
func (b *Backend) Ports() []uint16 {
	c := b.servers.config
	if c.kind != single {
		return nil
	}
	_, text, _ := net.SplitHostPort(c.hosts[0])
	port, _ := strconv.ParseUint(text, 10, 16)
	return []uint16{uint16(port)}
}

// Files are those of passwords and certificates, which are read at each connection.
func (b *Backend) Files() []string {
	c := b.servers.config
	files := []string{c.passwordFile, c.sentinelPasswordFile, c.ca, c.cert, c.key}
	return slices.DeleteFunc(files, func(file string) bool { return file == "" })
}
