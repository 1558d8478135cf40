package milter

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"signpost/keystore/finding"
)

// Address is where a milter listens: a network and an address as package net
// takes them.
type Address struct{ Network, Address string }

// maxSocketPath is what sun_path of unix(7) holds, less its final NUL.
const maxSocketPath = 107

const socketHint = "write inet:host:port, inet:port@host or unix:/path"

// ParseAddress reads a socket as Postfix or OpenDKIM write it: inet:host:port,
// inet:port@host, inet:port (all addresses), inet6 likewise, unix:/path,
// local:/path, or a path alone.
func ParseAddress(s string) (Address, error) {
	fail := func(why string) (Address, error) {
		return Address{}, finding.WithHint(fmt.Errorf("socket %q: %s", s, why), socketHint)
	}
	kind, rest, ok := strings.Cut(strings.TrimSpace(s), ":")
	if !ok || strings.HasPrefix(kind, "/") {
		kind, rest = "unix", strings.TrimSpace(s)
	}
	switch strings.ToLower(kind) {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return fail("a unix socket needs an absolute path")
		}
		if len(rest) > maxSocketPath {
			return fail(fmt.Sprintf("the path has %d characters, more than the %d that a socket can have",
				len(rest), maxSocketPath))
		}
		return Address{"unix", rest}, nil
	case "inet", "inet6":
		host, port := "", rest
		if before, after, found := strings.Cut(rest, "@"); found {
			port, host = before, after
		} else if colon := strings.LastIndexByte(rest, ':'); colon >= 0 {
			host, port = rest[:colon], rest[colon+1:]
		}
		if number, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fail(fmt.Sprintf("invalid port %q", port))
		} else {
			port = strconv.FormatUint(number, 10)
		}
		if strings.ContainsAny(host, " \t,") {
			return fail(fmt.Sprintf("invalid host %q", host))
		}
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if host == "*" {
			host = ""
		}
		network := "tcp"
		if strings.EqualFold(kind, "inet6") {
			network = "tcp6"
		}
		return Address{network, net.JoinHostPort(host, port)}, nil
	}
	return fail(fmt.Sprintf("unknown kind of socket %q", kind))
}

// ParseAddresses reads one socket or more, with commas or white space between.
func ParseAddresses(s string) ([]Address, error) {
	var addresses []Address
	for _, word := range Words(s) {
		address, err := ParseAddress(word)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	if addresses == nil {
		return nil, finding.WithHint(errors.New("no socket is given"), socketHint)
	}
	return addresses, nil
}

// ParseHTTP reads where a status page is served: HOST:PORT or :PORT, or a socket as
// ParseAddress takes it. Empty is none.
func ParseHTTP(text string) (Address, error) {
	kind, _, _ := strings.Cut(text, ":")
	switch strings.ToLower(kind) {
	case "inet", "inet6", "unix", "local":
		return ParseAddress(text)
	}
	switch {
	case text == "":
		return Address{}, nil
	case strings.HasPrefix(text, "/"):
		return ParseAddress(text)
	}
	if _, _, err := net.SplitHostPort(text); err != nil {
		return Address{}, finding.WithHint(fmt.Errorf("invalid address %q", text),
			"write HOST:PORT, :PORT or unix:/PATH")
	}
	return ParseAddress("inet:" + text)
}

func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	return "inet:" + a.Address
}

// Listen opens the socket. A unix socket that a killed process left behind is
// replaced; who may connect is up to the permissions of its directory.
func (a Address) Listen() (net.Listener, error) {
	ln, err := a.listen()
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", a, err)
	}
	return ln, nil
}

func (a Address) listen() (net.Listener, error) {
	if a.Network == "unix" {
		if err := a.removeStale(); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen(a.Network, a.Address)
	if err != nil {
		return nil, listenHint(err)
	}
	if a.Network != "unix" {
		return ln, nil
	}
	// Postfix's smtpd runs as another user than we do.
	if err := os.Chmod(a.Address, 0o777); err != nil {
		ln.Close()
		return nil, finding.WithHint(fmt.Errorf("letting Postfix connect: %w", err),
			"use a directory whose files this user may change")
	}
	return ln, nil
}

// listenHint says what to do about an error of net.Listen.
func listenHint(err error) error {
	var opErr *net.OpError
	if errors.As(err, &opErr) {
		err = opErr.Err
	}
	hint := "give another address"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "something listens there already, perhaps another milter; give another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "no interface of this host has that address; inet:PORT listens on all"
	case errors.Is(err, fs.ErrPermission):
		hint = "choose a port above 1023, or a directory that this user may write to"
	case errors.Is(err, fs.ErrNotExist):
		hint = "make the directory first"
	}
	return finding.WithHint(err, hint)
}

// removeStale removes a unix socket that a killed process left behind, and
// nothing else.
func (a Address) removeStale() error {
	info, err := os.Lstat(a.Address)
	if err != nil {
		return nil // not there; any other error comes up in Listen
	}
	if info.Mode().Type() != fs.ModeSocket {
		return finding.WithHint(errors.New("there is a file that is not a socket"),
			"remove it, or give another path")
	}
	conn, err := net.DialTimeout("unix", a.Address, time.Second)
	if err == nil {
		conn.Close()
		return finding.WithHint(errors.New("another process serves this socket"),
			"stop it, or give another path")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return finding.WithHint(fmt.Errorf("cannot tell whether the socket is in use: %w", err), "remove it")
	}
	return os.Remove(a.Address)
}

// AddressOf returns where a listener listens.
func AddressOf(ln net.Listener) Address {
	return Address{ln.Addr().Network(), ln.Addr().String()}
}

// Local returns where a client on the same host reaches a server that listens
// on a.
func (a Address) Local() Address {
	if host, port, err := net.SplitHostPort(a.Address); err == nil && a.Network != "unix" {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			a.Address = net.JoinHostPort("localhost", port)
		}
	}
	return a
}
