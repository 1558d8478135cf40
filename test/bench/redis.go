package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"signpost/test/lab"
)

// A redis is a redis-server with keys as rspamd has them.
type redis struct {
	*process
	address string
	conn    net.Conn
	replies *bufio.Reader
}

// Where rspamd's dkim_signing.conf and signpostd look for keys.
const redisHash = "DKIM_KEYS"

// startRedis runs a server in memory.
func startRedis(dir string) (*redis, error) {
	s, err := freePort()
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(s.address, ":")
	p, err := startCommand(filepath.Join(dir, "redis.log"), lab.Redis("--bind", "127.0.0.1", "--port", port,
		"--dir", dir, "--save", "", "--appendonly", "no"))
	if err != nil {
		return nil, err
	}
	r := &redis{process: p, address: s.address}
	if err := p.awaitSocket("tcp", s.address); err != nil {
		p.stop()
		return nil, err
	}
	if r.conn, err = net.Dial("tcp", s.address); err != nil {
		p.stop()
		return nil, err
	}
	r.replies = bufio.NewReader(r.conn)
	return r, nil
}

func (r *redis) stop() {
	r.conn.Close()
	r.process.stop()
}

// fill stores the keys of domains 0 to n-1, each of which is one of a few.
func (r *redis) fill(n int, keys [][]byte) error {
	const batch = 500
	for first := 0; first < n; first += batch {
		command := []string{"HSET", redisHash}
		for i := first; i < min(n, first+batch); i++ {
			command = append(command, flatSelector+"."+domain(i), string(keys[i%len(keys)]))
		}
		if _, err := r.do(command...); err != nil {
			return err
		}
	}
	return nil
}

// calls returns how often clients have sent each command since the last call of reset.
// Those of connecting are left out, and those of this program.
func (r *redis) calls() (calls map[string]int, total int, err error) {
	text, err := r.do("INFO", "commandstats")
	if err != nil {
		return nil, 0, err
	}
	calls = make(map[string]int)
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok || strings.HasPrefix(name, "config") || name == "info" {
			continue
		}
		number, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, 0, fmt.Errorf("redis says %q", line)
		}
		calls[name] = n
		total += n
	}
	return calls, total, nil
}

// reset begins to count anew.
func (r *redis) reset() error {
	_, err := r.do("CONFIG", "RESETSTAT")
	return err
}

// do sends a command and returns the reply, which is no array.
func (r *redis) do(command ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, arg := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	r.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(r.conn, b.String()); err != nil {
		return "", err
	}
	line, err := r.replies.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	switch line[0] {
	case '-':
		return "", fmt.Errorf("redis: %s", line[1:])
	case '$':
		size, err := strconv.Atoi(line[1:])
		if err != nil || size < 0 {
			return "", err
		}
		text := make([]byte, size+len("\r\n"))
		_, err = io.ReadFull(r.replies, text)
		return string(text[:size]), err
	}
	return line[1:], nil
}
