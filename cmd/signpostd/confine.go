package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"signpost/cmd/internal/settings"
	"signpost/cmd/signpostd/internal/confine"
	"signpost/keystore/finding"
	"signpost/milter"
)

// manyDomains is from which number on the search for symlinks would make the first
// message wait.
const manyDomains = 5000

// private keeps the keys out of core dumps and from debuggers, from the start on.
func private(s *settings.Daemon, log *slog.Logger) error {
	if s.Confine == settings.ConfineOff {
		return nil
	}
	err := confine.Private()
	if err != nil && s.Confine != settings.ConfineRequire {
		log.Warn("confined in part", finding.Attr(err))
		return nil
	}
	return err
}

// confined gives up what signpostd no longer needs: the listeners are open, the keys
// listed and the state read.
func confined(s *settings.Daemon, sockets []milter.Address, domains int, background func(func()),
	log *slog.Logger) error {
	if s.Confine == settings.ConfineOff {
		return nil
	}
	_, _ = time.Now().Zone() // reads the time zone, which is done once
	force, err := confine.Process(rights(s, sockets))
	reading := func() error {
		places := slices.Concat(keyPlaces(&s.Keys), sharedPlaces(s.Shared),
			cachePlaces(&s.Keys), confine.FilePlaces("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"))
		places = append(places, reportPlaces(s)...)
		for _, file := range s.Rules.Logins.Files() {
			places = append(places, confine.FilePlaces(file)...)
			if dir := filepath.Dir(file); dir == "/etc/postfix" || !confine.Shared(dir) { // where editors put a new one
				places = append(places, dir)
			}
		}
		if force.Landlock > 0 {
			err = errors.Join(err, confine.Reading(slices.Concat(places, writable(s))))
		}
		return inForce(s, force, places, err, log)
	}
	if domains > manyDomains && s.Confine != settings.ConfineRequire {
		background(func() { _ = reading() }) // is an error only where it is required
		return nil
	}
	return reading()
}

// inForce logs what is, and returns an error if that is not enough.
func inForce(s *settings.Daemon, force confine.Force, places []string, err error, log *slog.Logger) error {
	attrs := []any{"landlock", force.Landlock, "seccomp", force.Seccomp}
	if err == nil {
		log.Info("confined", append(attrs, "read", strings.Join(places, " "), "write", strings.Join(writable(s), " "))...)
		return nil
	}
	if s.Confine == settings.ConfineRequire {
		return finding.WithHint(fmt.Errorf("cannot be confined: %w", err),
			"use a kernel that has Landlock and seccomp and a container that allows them, or --confine auto")
	}
	log.Warn("confined in part", append(attrs, "err", strings.ReplaceAll(err.Error(), "\n", "; "),
		"hint", "mail is signed all the same; --confine off silences this")...)
	return nil
}

// writable returns the directories that are written.
func writable(s *settings.Daemon) []string {
	return slices.DeleteFunc([]string{s.State.Dir, s.Keys.Cache}, func(dir string) bool { return dir == "" })
}

// rights are what is written, removed and connected to.
func rights(s *settings.Daemon, sockets []milter.Address) (r confine.Rights) {
	r.Write = writable(s)
	for _, address := range sockets {
		// A unix socket is removed at the end. One that is left behind is removed at the
		// next start, so nothing shared need be open to that.
		dir := filepath.Dir(address.Address)
		if address.Network == "unix" && !confine.Shared(dir) {
			r.Remove = append(r.Remove, dir)
		}
	}
	ports, all := storePorts(&s.Keys)
	r.Connect, r.ConnectAll = append(ports, 53), all
	for _, server := range slices.Concat(s.DNS.Resolver.Servers, s.Sharing) {
		if _, port, err := net.SplitHostPort(server); err == nil {
			number, _ := strconv.ParseUint(port, 10, 16)
			r.Connect = append(r.Connect, uint16(number))
		}
	}
	return r
}
