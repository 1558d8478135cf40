package redis

import (
	"context"
	"fmt"
	"net"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// askSentinels returns the address of the master. A Sentinel that does not answer leaves time
// for the others, and is the last one that is asked again.
func (s *servers) askSentinels(ctx context.Context) (string, error) {
	s.mu.Lock()
	first := s.first
	s.mu.Unlock()
	var failed error
	for i := range s.hosts {
		at := (first + i) % len(s.hosts)
		within, cancel := ctx, context.CancelFunc(func() {})
		if end, ok := ctx.Deadline(); ok {
			within, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(s.hosts)-i))
		}
		addr, err := s.askSentinel(within, s.hosts[at])
		cancel()
		if err == nil {
			s.mu.Lock()
			s.first = at
			s.mu.Unlock()
			return addr, nil
		}
		s.forget(s.hosts[at])
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		failed = &sentinelError{s.hosts[at], err}
	}
	return "", failed
}

func (s *servers) askSentinel(ctx context.Context, addr string) (string, error) {
	var password string
	if s.sentinelPasswordFile != "" {
		var err error
		if password, err = readPassword("sentinel_password_file", s.sentinelPasswordFile); err != nil {
			return "", err
		}
	}
	conn, err := s.connect(ctx, addr, nil)
	if err != nil {
		return "", err
	}
	l := &link{Conn: conn, addr: addr}
	defer l.Close()
	if err := l.login(ctx, "", password, 0); err != nil {
		return "", err
	}
	replies, err := l.Do(ctx, resp.Command{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.master})
	if err != nil {
		return "", err
	}
	if err := firstError(replies); err != nil {
		return "", err
	}
	pair, _ := replies[0].([]any)
	if len(pair) != 2 {
		return "", finding.WithHint(fmt.Errorf("no master is called %q", s.master),
			"the name is in sentinel.conf: sentinel monitor NAME")
	}
	host, _ := resp.Text(pair[0])
	port, _ := resp.Text(pair[1])
	return net.JoinHostPort(host, port), nil
}

// sentinelError is an error of a Sentinel.
type sentinelError struct {
	addr string
	err  error
}

func (e *sentinelError) Error() string { return "sentinel " + e.addr + ": " + e.err.Error() }
func (e *sentinelError) Unwrap() error { return e.err }

// isMaster refuses a server that is a replica: the Sentinels have not heard of it yet, or
// it not of them. Who may not ask is told by READONLY.
func isMaster(ctx context.Context, l *link) error {
	replies, err := l.Do(ctx, resp.Command{"ROLE"})
	if err != nil {
		return err
	}
	role, ok := replies[0].([]any)
	if ok && len(role) > 0 && !resp.Equal(role[0], "master") {
		return finding.WithHint(fmt.Errorf("%s is not the master", l.addr), "it is tried again; a failover is under way")
	}
	return nil
}
