package redis

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
	"signpost/keystore/regular"
)

// How long a connection may take to come up, and a command. A context ends both sooner.
const (
	dialWithin    = 5 * time.Second
	commandWithin = 5 * time.Second
)

// link is a connection that is logged in.
type link struct {
	*resp.Conn
	addr  string
	resp3 bool
	used  time.Time
}

// dial connects and logs in. What the server sends unasked goes to pushes.
func (c *config) dial(ctx context.Context, addr string, pushes func(resp.Push)) (*link, error) {
	password := c.password
	if c.passwordFile != "" {
		var err error
		if password, err = readPassword("password_file", c.passwordFile); err != nil {
			return nil, err
		}
	}
	conn, err := c.connect(ctx, addr, pushes)
	if err != nil {
		return nil, err
	}
	l := &link{Conn: conn, addr: addr}
	if err := l.login(ctx, c.user, password, c.db); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// connect opens a connection, with TLS where the URL says so. Certificates are read each
// time, for they are renewed.
func (c *config) connect(ctx context.Context, addr string, pushes func(resp.Push)) (*resp.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true}}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if c.tls {
		settings, err := c.tlsConfig(addr)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		secure := tls.Client(conn, settings)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, finding.WithHint(fmt.Errorf("TLS with %s: %w", addr, err),
				"check ca, cert, key and server_name in the URL; redis:// is without TLS")
		}
		conn = secure
	}
	return resp.NewConn(conn, commandWithin, pushes), nil
}

func (c *config) tlsConfig(addr string) (*tls.Config, error) {
	host, _, _ := net.SplitHostPort(addr)
	settings := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.serverName != "" {
		settings.ServerName = c.serverName
	}
	if c.ca != "" {
		data, err := regular.Read(c.ca, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("ca: reading %s: %w", c.ca, finding.FileHint(err, c.ca))
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(data) {
			return nil, finding.WithHint(fmt.Errorf("ca: no certificate in %s", c.ca), "it is a file in PEM")
		}
	}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
				err = finding.FileHint(err, c.cert)
			}
			return nil, fmt.Errorf("cert, key: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

func readPassword(name, file string) (string, error) {
	data, err := regular.Read(file, 4096)
	if err != nil {
		return "", fmt.Errorf("%s: reading %s: %w", name, file, finding.FileHint(err, file))
	}
	defer clear(data)
	return string(bytes.TrimRight(data, "\r\n")), nil
}

// login says who we are, and chooses the database: in RESP3 where the server knows it.
func (l *link) login(ctx context.Context, user, password string, db int) error {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	hello := resp.Command{"HELLO", "3"}
	auth := resp.Command{"AUTH"}
	if password != "" {
		name := user
		if name == "" {
			name = "default"
		}
		hello = append(hello, "AUTH", name, password)
		if user != "" {
			auth = append(auth, user)
		}
		auth = append(auth, password)
	}
	hello = append(hello, "SETNAME", "signpost")
	replies, err := l.Do(ctx, hello)
	if err != nil {
		return err
	}
	failed, refused := replies[0].(resp.Error)
	l.resp3 = !refused
	var commands []resp.Command
	if refused {
		if !unknownCommand(failed) && !strings.HasPrefix(string(failed), "NOPROTO") {
			return failed
		}
		if password != "" { // before Redis 6
			commands = append(commands, auth)
		}
	}
	if db != 0 {
		commands = append(commands, resp.Command{"SELECT", db})
	}
	if len(commands) == 0 {
		return nil
	}
	if replies, err = l.Do(ctx, commands...); err != nil {
		return err
	}
	return firstError(replies)
}

func unknownCommand(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.HasPrefix(text, "err unknown command") || strings.HasPrefix(text, "err unknown subcommand")
}

// firstError returns the first error among replies.
func firstError(replies []any) error {
	for _, reply := range replies {
		if err, ok := reply.(resp.Error); ok {
			return err
		}
	}
	return nil
}
