package main

import (
	"net"
	"os"
	"slices"
	"strings"

	"signpost/milter"
)

// reach returns where we reach a milter of main.cf. A unix socket is in the queue
// directory if its path is relative, or if Postfix runs in a chroot.
func (m *cutOver) reach(address string) (milter.Address, error) {
	kind, path, _ := strings.Cut(address, ":")
	if kind != "unix" && kind != "local" {
		a, err := milter.ParseAddress(address)
		return a.Local(), err
	}
	inQueue := milter.Address{Network: "unix", Address: m.queue + "/" + strings.TrimPrefix(path, "/")}
	if strings.HasPrefix(path, "/") && (exists(path) || !exists(inQueue.Address)) {
		return milter.Address{Network: "unix", Address: path}, nil
	}
	return inQueue, nil
}

// same reports whether a milter of main.cf is the one that listens at a socket, both as
// they are written.
func (m *cutOver) same(address, socket string) bool {
	if address == socket {
		return true
	}
	a, err := m.reach(address)
	b, socketErr := m.reach(socket)
	return err == nil && socketErr == nil && (a == b || sameFile(a, b) || sameHost(a, b))
}

// sameFile reports whether two unix sockets are one.
func sameFile(a, b milter.Address) bool {
	if a.Network != "unix" || b.Network != "unix" {
		return false
	}
	one, err := os.Stat(a.Address)
	other, otherErr := os.Stat(b.Address)
	return err == nil && otherErr == nil && os.SameFile(one, other)
}

// sameHost reports whether two addresses are one port of this host, under its names.
func sameHost(a, b milter.Address) bool {
	local := func(a milter.Address) (port string, ok bool) {
		host, port, err := net.SplitHostPort(a.Address)
		return port, err == nil && a.Network != "unix" &&
			slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, strings.ToLower(host))
	}
	port, ok := local(a)
	other, otherOK := local(b)
	return ok && otherOK && port == other
}
