package main

import (
	"fmt"
	"log/slog"
	"net"

	"signpost/cmd/internal/settings"
	"signpost/cmd/signpostd/internal/systemd"
	"signpost/milter"
)

// sockets are what is served.
type sockets struct {
	milter   []net.Listener
	page     net.Listener // nil for none
	sessions []systemd.Session
	own      []milter.Address // opened here, and to be removed at the end
	close    func()
}

// openSockets takes those that systemd passes, and opens those of --listen and --http
// that it does not.
func openSockets(s *settings.Daemon, log *slog.Logger) (*sockets, error) {
	passed, err := systemd.Take()
	if err != nil {
		return nil, err
	}
	opened := &sockets{milter: passed.Milter, page: passed.HTTP, sessions: passed.Sessions}
	opened.close = func() {
		// The server closes those that it serves, and a stop may come before that.
		passed.Close()
		for _, ln := range opened.milter {
			ln.Close()
		}
		if opened.page != nil {
			opened.page.Close()
		}
	}
	if err := opened.openOwn(s); err != nil {
		opened.close()
		return nil, err
	}
	if len(passed.Milter) > 0 {
		log.Info("systemd passes the milter's sockets, in place of --listen", "sockets", len(passed.Milter))
	}
	if passed.HTTP != nil {
		log.Info("systemd passes the socket of the status page, in place of --http")
	}
	return opened, nil
}

func (o *sockets) openOwn(s *settings.Daemon) error {
	open := func(flag string, address milter.Address) (net.Listener, error) {
		ln, err := address.Listen()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		o.own = append(o.own, address)
		return ln, nil
	}
	if len(o.milter) == 0 {
		for _, address := range s.Listen {
			ln, err := open("--listen", address)
			if err != nil {
				return err
			}
			o.milter = append(o.milter, ln)
		}
	}
	if o.page == nil && s.HTTP != (milter.Address{}) {
		ln, err := open("--http", s.HTTP)
		if err != nil {
			return err
		}
		o.page = ln
	}
	return nil
}
