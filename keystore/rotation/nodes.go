package rotation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"signpost/keystore/finding"
)

// aliveFor is how long after it was last seen a node counts as one that asks.
const aliveFor = 2 * time.Minute

// fleet is the nodes that divide the questions.
type fleet struct {
	self string

	mu    sync.Mutex
	seen  map[string]time.Time // the others
	alive []string             // with this one, in order; nil when it has to be made
	until time.Time            // when it has to
}

// saw notes that nodes live.
func (f *fleet) saw(nodes []string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, node := range nodes {
		if node == f.self {
			continue
		}
		if f.seen == nil {
			f.seen = make(map[string]time.Time)
		}
		if _, ok := f.seen[node]; !ok {
			f.alive = nil
		}
		f.seen[node] = now
	}
}

// nodes returns the nodes that live, with this one, in order. It is not to be changed.
func (f *fleet) nodes(now time.Time) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alive != nil && now.Before(f.until) {
		return f.alive
	}
	alive := []string{f.self}
	f.until = now.Add(aliveFor)
	for node, seen := range f.seen {
		ends := seen.Add(aliveFor)
		if !now.Before(ends) {
			delete(f.seen, node)
			continue
		}
		alive = append(alive, node)
		if ends.Before(f.until) {
			f.until = ends
		}
	}
	slices.Sort(alive)
	if !slices.Equal(alive, f.alive) {
		f.alive = alive
	}
	return f.alive
}

// owns reports whether this node is the one that asks about a domain.
func (f *fleet) owns(domain string, now time.Time) bool { return owner(domain, f.nodes(now)) == f.self }

// owner returns which of the nodes asks about a domain: the one with the highest weight,
// so that only the domains of a node that comes or goes change hands (rendezvous hashing).
func owner(domain string, nodes []string) (node string) {
	if len(nodes) == 1 {
		return nodes[0]
	}
	var most uint64
	for i, candidate := range nodes {
		if w := weight(candidate, domain); i == 0 || w > most {
			node, most = candidate, w
		}
	}
	return node
}

// weight is FNV-1a, and then mixed as MurmurHash3 does: all nodes and versions must come to
// the same.
func weight(node, domain string) uint64 {
	hash := uint64(14695981039346656037)
	for _, text := range [...]string{node, "\n", domain} {
		for i := range len(text) {
			hash = (hash ^ uint64(text[i])) * 1099511628211
		}
	}
	hash = (hash ^ hash>>33) * 0xff51afd7ed558ccd
	hash = (hash ^ hash>>33) * 0xc4ceb9fe1a85ec53
	return hash ^ hash>>33
}

// ParseNode reads the name of a node; "" is for that of the host.
func ParseNode(text string) (string, error) {
	if text == "" {
		name, err := os.Hostname()
		if err != nil || name == "" {
			name = "localhost"
		}
		return strings.Map(func(r rune) rune {
			if nodeRune(r) {
				return r
			}
			return '-'
		}, name[:min(len(name), maxNode)]), nil
	}
	if !validNode(text) {
		return "", finding.WithHint(fmt.Errorf("invalid name of a node %q", text),
			fmt.Sprintf("use letters, digits, dots, hyphens and underscores, at most %d", maxNode))
	}
	return text, nil
}

// maxNode is how long a name of a host may be.
const maxNode = 64

func validNode(text string) bool {
	return text != "" && len(text) <= maxNode && !strings.ContainsFunc(text, func(r rune) bool { return !nodeRune(r) })
}

func nodeRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r)
}
