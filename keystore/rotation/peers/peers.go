// Package peers has nodes share what the DNS said of keys by asking each other over HTTP:
// each serves its findings beside its status page.
package peers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/rotation"
)

// Path is where a node serves its findings.
const Path = "/findings"

// DefaultPort is that of the status page, for names without one.
const DefaultPort = "8890"

const (
	// lookupPause is how long the addresses of a name are used.
	lookupPause = 15 * time.Second
	// answerTime is how long one answer may take, and maxAnswer how large it may be: of a
	// hundred thousand domains it is twenty megabytes.
	answerTime = 30 * time.Second
	maxAnswer  = 1 << 28
	// failPause is how long a peer that failed is left alone.
	failPause = 10 * time.Second
	// mostPeers bounds the addresses of all names.
	mostPeers = 256
)

// Peers asks other nodes for their findings.
type Peers struct {
	names  []string // HOST:PORT
	own    func(place string) bool
	log    *slog.Logger
	client *http.Client
	lookup func(ctx context.Context, host string) ([]string, error)

	mu      sync.Mutex
	looked  time.Time
	known   map[string]*peer // by address
	unknown map[string]bool  // names that have no address, which is logged
	clash   bool             // that another node has our name is logged
	self    string
}

type peer struct {
	busy    bool
	failing bool      // which is logged
	again   time.Time // before which it is not asked
	place   string    // from which to go on
	node    string    // its name, after an answer
	self    bool      // it is this process
	lives   bool
}

// ParseNames reads names of peers, HOST or HOST:PORT, with commas between.
func ParseNames(text string) (names []string, err error) {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		host, port, err := net.SplitHostPort(word)
		if err != nil {
			host, port = strings.Trim(word, "[]"), DefaultPort
		}
		if number, err := net.LookupPort("tcp", port); err != nil || number == 0 || host == "" ||
			strings.ContainsAny(host, "/@?#[] ") {
			return nil, finding.WithHint(fmt.Errorf("invalid peer %q", word),
				"write the name or address of a node, or of all of them, as signpostd:8890")
		}
		names = append(names, net.JoinHostPort(host, port))
	}
	return names, nil
}

// New returns the peers at names of ParseNames, for the node with the name self. A name with
// several addresses stands for all of them. Own reports whether a place in findings is of
// this process, for it may be among them.
func New(names []string, self string, own func(place string) bool, log *slog.Logger) *Peers {
	return &Peers{
		names: names, self: self, own: own, log: log,
		known: make(map[string]*peer), unknown: make(map[string]bool),
		lookup: net.DefaultResolver.LookupHost,
		client: &http.Client{
			Timeout:       answerTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
				ResponseHeaderTimeout:  5 * time.Second,
				MaxResponseHeaderBytes: 16 << 10,
				MaxConnsPerHost:        1,
				IdleConnTimeout:        time.Minute,
				DisableCompression:     true,
			},
		},
	}
}

// Name is the names of the peers.
func (p *Peers) Name() string { return strings.Join(p.names, ",") }

// Fetch asks all peers for what they have found since the last time. What takes longer than
// ctx goes on. A peer that does not answer is logged once, and is no error.
func (p *Peers) Fetch(ctx context.Context, found func([]rotation.Finding)) (nodes []string, err error) {
	p.look(ctx)
	var asking sync.WaitGroup
	p.mu.Lock()
	for address, one := range p.known {
		if one.busy || one.self || time.Now().Before(one.again) {
			continue
		}
		one.busy = true
		asking.Go(func() { p.ask(address, one, found) })
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { asking.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.known {
		if one.lives && !one.self && one.node != p.self {
			nodes = append(nodes, one.node)
		}
	}
	return nodes, nil
}

// ask asks one peer.
func (p *Peers) ask(address string, one *peer, found func([]rotation.Finding)) {
	node, place, err := p.read(address, one, found)
	p.mu.Lock()
	defer p.mu.Unlock()
	one.busy, one.lives = false, err == nil
	if err != nil {
		one.place, one.again = "", time.Now().Add(failPause)
		if !one.failing {
			p.log.Warn("a peer does not say what the DNS said", "peer", address, finding.Attr(err))
		}
		one.failing = true
		return
	}
	if one.failing {
		p.log.Info("a peer says what the DNS said again", "peer", address)
	}
	one.failing, one.node, one.place, one.self = false, node, place, p.own(place)
	if node == p.self && !one.self && !p.clash {
		p.clash = true
		p.log.Warn("a peer has the name of this node, so the questions are not divided with it",
			"peer", address, "node", node,
			"hint", "give each node a name of its own with --node")
	}
}

func (p *Peers) read(address string, one *peer, found func([]rotation.Finding)) (node, place string, err error) {
	// The request is not that of one round of the exchange: a first answer can take longer.
	response, err := p.client.Get("http://" + address + Path + "?" + url.Values{"since": {one.place}}.Encode())
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return "", "", fmt.Errorf("it says %s: %w", response.Status, finding.ParseError(strings.TrimSpace(string(text))))
	}
	node, place, err = rotation.ReadFindings(io.LimitReader(response.Body, maxAnswer), found)
	if err != nil {
		return "", "", fmt.Errorf("reading its findings: %w", err)
	}
	return node, place, nil
}

// look finds the addresses of the names, from time to time. A name that cannot be looked
// up keeps those that it had.
func (p *Peers) look(ctx context.Context) {
	if time.Since(p.looked) < lookupPause {
		return
	}
	p.looked = time.Now()
	there := make(map[string]bool)
	whole := true
	for _, name := range p.names {
		host, port, _ := net.SplitHostPort(name)
		addresses, err := p.lookup(ctx, host)
		p.mu.Lock()
		if err != nil && !p.unknown[name] {
			p.log.Warn("a peer has no address", "peer", name, finding.Attr(err))
		}
		p.unknown[name] = err != nil
		p.mu.Unlock()
		whole = whole && err == nil
		for _, address := range addresses {
			if len(there) < mostPeers {
				there[net.JoinHostPort(address, port)] = true
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for address := range there {
		if p.known[address] == nil {
			p.known[address] = new(peer)
		}
	}
	for address := range p.known {
		if whole && !there[address] {
			delete(p.known, address)
		}
	}
}
