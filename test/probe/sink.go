package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
)

// A sink receives mail as the next server would.
type sink struct{ net.Listener }

// openSink listens at address, or at port 25 of the first address of this
// machine that others can reach.
func openSink(address string) (sink, error) {
	if address == "" {
		ip, err := ownAddress()
		if err != nil {
			return sink{}, err
		}
		address = net.JoinHostPort(ip, "25")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return sink{}, fmt.Errorf("receiving mail: %w", err)
	}
	return sink{listener}, nil
}

func ownAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no IPv4 address but loopback; hint: give one with --listen")
}

// IP is the address that mail comes to.
func (s sink) IP() string { return s.Addr().(*net.TCPAddr).IP.String() }

// serve hands over every message until the sink is closed.
func (s sink) serve(ctx context.Context, received chan<- []byte) {
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			receive(ctx, textproto.NewConn(conn), received)
		}()
	}
}

// receive speaks as much SMTP as Postfix needs to deliver.
func receive(ctx context.Context, conn *textproto.Conn, received chan<- []byte) {
	say := func(reply string) { _ = conn.PrintfLine("%s", reply) } // the next read sees a broken connection
	say("220 probe ESMTP")
	for {
		line, err := conn.ReadLine()
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "EHLO":
			say("250-probe")
			say("250 8BITMIME")
		case "DATA":
			say("354 go on")
			lines, err := conn.ReadDotLines()
			if err != nil {
				return
			}
			select {
			case received <- []byte(strings.Join(lines, "\r\n") + "\r\n"):
				say("250 received")
			case <-ctx.Done():
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default: // MAIL, RCPT, RSET, NOOP
			say("250 ok")
		}
	}
}
