package redis

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"signpost/keystore/redis/internal/resp"
)

// servers keeps connections, and knows which server has a hash: the only one, the master
// of which the Sentinels tell, or the node of a Cluster.
type servers struct {
	*config
	slots chan struct{} // one for each connection in use

	mu     sync.Mutex
	idle   []*link
	where  map[string]string // the address of the server, by hash; of all but a Cluster by ""
	first  int               // the host that answered last
	closed bool
}

const (
	mostConns = 16
	mostIdle  = 4
	idleFor   = 2 * time.Minute
)

func newServers(c *config) *servers {
	return &servers{config: c, slots: make(chan struct{}, mostConns), where: make(map[string]string)}
}

// do sends commands that use one hash to the server that has it, and returns the answers;
// none of them is an error. What writes is sent once: whether it was done is not known
// when the connection fails.
func (s *servers) do(ctx context.Context, hash string, write bool, commands ...resp.Command) ([]any, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	const tries = 5
	var last error
	for range tries {
		addr, err := s.locate(ctx, hash)
		if err != nil {
			return nil, err
		}
		l, reused, err := s.take(ctx, addr, write)
		if err != nil {
			s.forget(addr)
			if last != nil || s.kind == single || ctx.Err() != nil {
				return nil, err
			}
			last = err // it may have failed over
			continue
		}
		replies, err := l.Do(ctx, commands...)
		if err != nil {
			_ = l.Close()
			s.forget(addr)
			if reused && !write && ctx.Err() == nil {
				continue // the server has closed it meanwhile
			}
			return nil, err
		}
		s.give(l)
		if err = firstError(replies); err == nil {
			return replies, nil
		}
		resp.Wipe(replies)
		last = err
		word, rest, _ := strings.Cut(err.Error(), " ")
		_, target, _ := strings.Cut(rest, " ")
		switch {
		case word == "MOVED" && s.kind == cluster:
			s.moved(hash, addr, target)
		case word == "ASK" && s.kind == cluster:
			return s.ask(ctx, near(addr, target), commands)
		case word == "READONLY" && s.kind != single:
			s.forget(addr)
		default:
			return nil, err
		}
	}
	return nil, last
}

// scan calls found for each field of a hash, some twice, page by page on one connection: a
// cursor means nothing to another server.
func (s *servers) scan(ctx context.Context, hash string, page int, found func(field, value string)) error {
	// The server is known then, and a connection is idle.
	if _, err := s.do(ctx, hash, true, resp.Command{"EXISTS", hash}); err != nil {
		return err
	}
	addr, err := s.locate(ctx, hash)
	if err != nil {
		return err
	}
	l, _, err := s.take(ctx, addr, false)
	if err != nil {
		return err
	}
	for cursor := "0"; ; {
		replies, err := l.Do(ctx, resp.Command{"HSCAN", hash, cursor, "COUNT", page})
		if err != nil {
			_ = l.Close()
			return err
		}
		if err = firstError(replies); err == nil {
			cursor, err = parsePage(replies[0], found)
		}
		if err != nil || cursor == "0" {
			s.give(l)
			return err
		}
	}
}

func parsePage(reply any, found func(field, value string)) (cursor string, err error) {
	page, _ := reply.([]any)
	if len(page) != 2 {
		return "", errReply
	}
	cursor, ok := resp.Text(page[0])
	pairs, okPairs := page[1].([]any)
	if !ok || !okPairs || len(pairs)%2 != 0 {
		return "", errReply
	}
	for i := 0; i < len(pairs); i += 2 {
		field, ok := resp.Text(pairs[i])
		value, okValue := resp.Text(pairs[i+1])
		if !ok || !okValue {
			return "", errReply
		}
		found(field, value)
	}
	return cursor, nil
}

// ask asks the node that a slot is just moving to.
func (s *servers) ask(ctx context.Context, addr string, commands []resp.Command) ([]any, error) {
	l, _, err := s.take(ctx, addr, true)
	if err != nil {
		return nil, err
	}
	var twice []resp.Command
	for _, command := range commands {
		twice = append(twice, resp.Command{"ASKING"}, command)
	}
	replies, err := l.Do(ctx, twice...)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	s.give(l)
	var answers []any
	for i := 1; i < len(replies); i += 2 {
		answers = append(answers, replies[i])
	}
	return answers, firstError(replies)
}

// locate returns the address of the server that has a hash, as far as it is known.
func (s *servers) locate(ctx context.Context, hash string) (string, error) {
	if s.kind != cluster {
		hash = ""
	}
	s.mu.Lock()
	addr, known := s.where[hash]
	first := s.first
	s.mu.Unlock()
	switch {
	case known:
		return addr, nil
	case s.kind == sentinel:
		addr, err := s.askSentinels(ctx)
		if err != nil {
			return "", err
		}
		s.moved("", "", addr)
		return addr, nil
	}
	// Any node of a Cluster says which has it.
	return s.hosts[first%len(s.hosts)], nil
}

// moved notes where a hash is.
func (s *servers) moved(hash, from, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.where[hash] = near(from, target)
}

// near completes an address that a node gave: without a host it is its own.
func near(addr, target string) string {
	if host, port, err := net.SplitHostPort(target); err == nil && host == "" {
		host, _, _ = net.SplitHostPort(addr)
		return net.JoinHostPort(host, port)
	}
	return target
}

// forget drops what was at an address that does not answer, or not for us.
func (s *servers) forget(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, at := range s.where {
		if at == addr {
			delete(s.where, hash)
		}
	}
	if s.hosts[s.first%len(s.hosts)] == addr {
		s.first++
	}
	kept := s.idle[:0]
	for _, l := range s.idle {
		if l.addr == addr {
			_ = l.Close()
		} else {
			kept = append(kept, l)
		}
	}
	clear(s.idle[len(kept):])
	s.idle = kept
}

// take returns a connection to a server: one that is idle, or a new one. With sure an idle one
// has answered just now.
func (s *servers) take(ctx context.Context, addr string, sure bool) (l *link, reused bool, err error) {
	for {
		l = s.takeIdle(addr)
		if l == nil {
			l, err = s.open(ctx, addr, nil)
			return l, false, err
		}
		if !sure {
			return l, true, nil
		}
		if _, err = l.Do(ctx, resp.Command{"PING"}); err == nil {
			return l, true, nil
		}
		_ = l.Close()
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
	}
}

func (s *servers) takeIdle(addr string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.idle) - 1; i >= 0; i-- {
		l := s.idle[i]
		if old := time.Since(l.used) > idleFor; old || l.addr == addr {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			if !old {
				return l
			}
			_ = l.Close()
		}
	}
	return nil
}

// give keeps a connection for the next call.
func (s *servers) give(l *link) {
	l.used = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.Broken() || s.closed || len(s.idle) >= mostIdle {
		_ = l.Close()
		return
	}
	s.idle = append(s.idle, l)
}

var errClosed = errors.New("the store is closed")

// open connects to a server, which must be the master where there are Sentinels.
func (s *servers) open(ctx context.Context, addr string, pushes func(resp.Push)) (*link, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	l, err := s.dial(ctx, addr, pushes)
	if err != nil || s.kind != sentinel {
		return l, err
	}
	if err := isMaster(ctx, l); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.idle {
		_ = l.Close()
	}
	s.idle = nil
}
