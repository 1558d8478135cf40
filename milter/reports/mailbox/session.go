package mailbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"signpost/keystore/finding"
	"signpost/keystore/regular"
	"signpost/milter/reports"
)

// session is a folder that is open.
type session struct {
	ctx         context.Context
	server      *server
	conn        net.Conn
	client      *imapclient.Client
	stop        func() bool // stops the context from closing the connection
	limits      reports.Limits
	since       time.Time
	uidValidity uint32
	uidNext     imap.UID
}

// open connects, logs in, and opens the folder read-only.
func open(ctx context.Context, c Config) (*session, error) {
	where, err := c.server()
	if err != nil {
		return nil, err
	}
	s := &session{ctx: ctx, server: where, limits: c.Limits, since: c.Since}
	if s.limits == (reports.Limits{}) {
		s.limits = reports.DefaultLimits()
	}
	if s.conn, err = s.connect(c); err != nil {
		return nil, s.because(err)
	}
	s.stop = context.AfterFunc(ctx, func() { s.conn.Close() })
	if err := s.begin(s.conn, c); err != nil {
		s.close()
		return nil, s.because(err)
	}
	return s, nil
}

// because is the error of the context, which closes the connection, or the one given.
func (s *session) because(err error) error {
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	return err
}

func (s *session) close() {
	if s.client != nil {
		if s.ctx.Err() == nil && s.client.State() != imap.ConnStateLogout {
			s.client.Logout().Wait()
		}
		s.client.Close()
	}
	s.stop()
}

// connect opens a connection that fails when the server is silent.
func (s *session) connect(c Config) (net.Conn, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(s.ctx, "tcp", net.JoinHostPort(s.server.host, s.server.port))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	}
	return &impatient{conn, timeout}, nil
}

// begin takes the session to the open folder.
func (s *session) begin(conn net.Conn, c Config) error {
	config := &tls.Config{ServerName: s.server.host, MinVersion: tls.VersionTLS12, NextProtos: []string{"imap"}}
	if c.CAFile != "" {
		pem, err := regular.Read(c.CAFile, 1<<20)
		if err != nil {
			conn.Close()
			return err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			conn.Close()
			return fmt.Errorf("%s has no certificate (PEM)", c.CAFile)
		}
	}
	if err := s.greet(conn, config, c.Plain); err != nil {
		return err
	}
	if err := s.login(c.Password); err != nil {
		return err
	}
	data, err := s.client.Select(s.server.folder, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return s.noFolder(err)
	}
	s.uidValidity, s.uidNext = data.UIDValidity, data.UIDNext
	return nil
}

// greet sets up TLS, unless plain was asked for, and waits for the greeting.
func (s *session) greet(conn net.Conn, config *tls.Config, plain bool) error {
	options := &imapclient.Options{TLSConfig: config}
	switch {
	case s.server.tls:
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(s.ctx); err != nil {
			conn.Close()
			return tlsError(err)
		}
		s.client = imapclient.New(secure, options)
	case plain:
		s.client = imapclient.New(conn, options)
	default:
		client, err := imapclient.NewStartTLS(conn, options)
		var refused *imap.Error
		if errors.As(err, &refused) {
			return finding.WithHint(fmt.Errorf("%w: the server refuses STARTTLS: %s", ErrTLS, said(err)), "try imaps://")
		} else if errors.Is(err, io.ErrUnexpectedEOF) {
			return finding.WithHint(fmt.Errorf("%w: the server hangs up", ErrTLS),
				"where the port begins with TLS, as 993 does, use imaps://")
		} else if err != nil {
			return tlsError(err)
		}
		s.client = client
	}
	if err := s.client.WaitGreeting(); err != nil {
		return fmt.Errorf("%w: %s", ErrConnect, said(err))
	}
	return nil
}

func tlsError(err error) error {
	advice := ""
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		advice = "if the server has its own certificate authority, give that certificate"
	case errors.As(err, &name):
		advice = "use a name of the server that is in its certificate"
	case errors.As(err, &invalid):
		advice = "renew the certificate of the server"
	case errors.As(err, &record):
		advice = "this port does not begin with TLS: try imap://, which uses STARTTLS"
	}
	err = fmt.Errorf("%w: %w", ErrTLS, err)
	if advice == "" {
		return err
	}
	return finding.WithHint(err, advice)
}

// login uses PLAIN where the server offers it, for LOGIN is older and knows ASCII only.
func (s *session) login(password string) (err error) {
	if s.client.State() == imap.ConnStateAuthenticated {
		return nil // PREAUTH
	}
	caps := s.client.Caps()
	switch {
	case caps.Has(imap.AuthCap(sasl.Plain)):
		err = s.client.Authenticate(sasl.NewPlainClient("", s.server.user, password))
	case caps.Has(imap.CapLoginDisabled):
		return finding.WithHint(fmt.Errorf("%w: the server takes no password", ErrLogin),
			"fetch the mailbox by a program that knows OAuth, such as mbsync, and give the maildir")
	default:
		err = s.client.Login(s.server.user, password).Wait()
	}
	var refused *imap.Error
	if errors.As(err, &refused) {
		return finding.WithHint(fmt.Errorf("%w: %s at %s: %s", ErrLogin, s.server.user, s.server.host, said(err)),
			"check user and password; with two-factor authentication, an application password is needed")
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrLogin, err)
	}
	return nil
}

// noFolder says which folders there are.
func (s *session) noFolder(err error) error {
	var refused *imap.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("%w %s: %w", ErrFolder, s.server.folder, err)
	}
	err = fmt.Errorf("%w %s: %s", ErrFolder, s.server.folder, said(err))
	list, _ := s.client.List("", "*", nil).Collect()
	var names []string
	for _, folder := range list {
		names = append(names, folder.Mailbox)
	}
	switch {
	case len(names) == 0:
		return err
	case len(names) > 20:
		names = append(names[:20], "…")
	}
	return finding.WithHint(err, "folders are %s", strings.Join(names, ", "))
}

// said is what the server says, without the words of the protocol.
func said(err error) string {
	var answer *imap.Error
	if errors.As(err, &answer) && answer.Text != "" {
		return strings.TrimSuffix(answer.Text, ".")
	}
	return err.Error()
}

// impatient is a connection on which each read and write must succeed within a time. The client
// sets deadlines of its own, but none while it waits for an answer.
type impatient struct {
	net.Conn
	timeout time.Duration
}

func (c *impatient) Read(p []byte) (int, error) {
	c.Conn.SetReadDeadline(time.Now().Add(c.timeout))
	return c.Conn.Read(p)
}

func (c *impatient) Write(p []byte) (int, error) {
	c.Conn.SetWriteDeadline(time.Now().Add(c.timeout))
	return c.Conn.Write(p)
}

func (c *impatient) SetDeadline(time.Time) error      { return nil }
func (c *impatient) SetReadDeadline(time.Time) error  { return nil }
func (c *impatient) SetWriteDeadline(time.Time) error { return nil }
