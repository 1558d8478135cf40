// Package mailbox fetches reports from a folder of an IMAP server (RFC 3501, RFC 9051). It opens
// the folder read-only, so nothing there changes, not even what has been seen.
//
// Save keeps the messages with reports in a directory, and fetches only what is new since it was
// last called. That directory is then a path like any other for package reports: an answer over
// 30 days takes the older reports as well. Read keeps nothing.
package mailbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"signpost/keystore/finding"
	"signpost/keystore/report"
	"signpost/milter/reports"
)

// Config is where the reports are, and how to get there.
type Config struct {
	// URL is imaps://user@host[:port]/Folder, or imap:// where TLS begins by STARTTLS. The user
	// may be an address. Without a folder it is INBOX.
	URL      string
	Password string
	// CAFile has certificates (PEM) that the server's must be signed by; empty for those of the
	// system.
	CAFile string
	// Plain asks for imap:// without TLS. The host must be a loopback address.
	Plain bool
	// Since leaves out messages that arrived before that day. The zero time leaves out none.
	Since time.Time
	// Timeout is how long the server may be silent; 0 is a minute.
	Timeout time.Duration
	// Limits are for each message; zero for the default ones.
	Limits reports.Limits
	// Origin is that of a reports.Reader, for Read.
	Origin func(context.Context, []byte) report.Origin
}

// Check says what is wrong with the configuration, as Read and Save do.
func (c *Config) Check() error {
	_, err := c.server()
	return err
}

func (c *Config) server() (*server, error) {
	where, err := parseURL(c.URL)
	switch {
	case err != nil:
		return nil, err
	case c.Password == "":
		return nil, errors.New("no password")
	case c.Plain && (where.tls || !isLoopback(where.host)):
		return nil, finding.WithHint(errors.New("without TLS is only for imap:// and a loopback address"),
			"the password would be open to all on the way")
	}
	return where, nil
}

// Errors that can be told apart, for advice on what to set.
var (
	ErrConnect = errors.New("cannot connect")
	ErrTLS     = errors.New("TLS failed")
	ErrLogin   = errors.New("login failed")
	ErrFolder  = errors.New("cannot open the folder")
)

// Read reads the messages in a folder, and calls found for what is in each until that returns
// false.
func Read(ctx context.Context, c Config, found func(reports.Found) bool) error {
	s, err := open(ctx, c)
	if err != nil {
		return err
	}
	defer s.close()
	uids, err := s.list(0)
	if err != nil {
		return err
	}
	goOn, reader := true, reports.Reader{Limits: s.limits, Origin: c.Origin}
	return s.fetch(uids, func(m message) (bool, error) {
		if m.data == nil {
			goOn = found(reports.Found{Where: m.where, Err: m.tooLarge()})
			return goOn, nil
		}
		err := reader.Message(ctx, m.where, m.reader(), func(f reports.Found) bool {
			goOn = found(f)
			return goOn
		})
		return goOn, err
	}, func(imap.UID) error { return nil })
}

// server is a URL taken apart.
type server struct {
	user, host, port, folder string
	tls                      bool // from the start
}

// name is what the folder is called in what is printed.
func (s *server) name() string { return s.host + "/" + s.folder }

func parseURL(text string) (*server, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse holds the whole text, and that may hold a password.
		return nil, errors.New("not a URL")
	}
	s := &server{user: u.User.Username(), host: u.Hostname(), port: u.Port(),
		folder: strings.TrimPrefix(u.Path, "/"), tls: u.Scheme == "imaps"}
	_, password := u.User.Password()
	const form = "it is imaps://user@host/Folder"
	switch {
	case u.Scheme != "imaps" && u.Scheme != "imap":
		return nil, finding.WithHint(fmt.Errorf("%q is neither imaps nor imap", u.Scheme), form)
	case password:
		return nil, finding.WithHint(errors.New("a password in the URL, where others can see it"),
			"take it out, and give it in a file")
	case s.host == "":
		return nil, finding.WithHint(errors.New("no host"), form)
	case s.user == "":
		return nil, finding.WithHint(errors.New("no user"), form)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, finding.WithHint(errors.New("unexpected text after the folder"), "write ? as %%3F and # as %%23")
	}
	if s.folder == "" {
		s.folder = "INBOX"
	}
	if s.port == "" {
		s.port = map[bool]string{true: "993", false: "143"}[s.tls]
	}
	return s, nil
}

// isLoopback goes by the address, not by a name that the DNS says leads to one.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
