// Package nameserver serves the DNS to tests: from a Zone of its own, which may
// change and fail while it runs, or by NSD, BIND and Knot.
package nameserver

import (
	"errors"
	"net"
	"testing"

	"github.com/miekg/dns"
)

// Anywhere is a loopback address with a port of the system's choice.
const Anywhere = "127.0.0.1:0"

// A Server answers on one address, by UDP and TCP.
type Server struct {
	Addr string // IP address and port
	stop []func()
}

// Start answers at address until Stop.
func Start(address string, handler dns.Handler) (*Server, error) {
	var err error
	for range 20 { // the port that UDP got may be taken for TCP
		var s *Server
		if s, err = StartUDP(address, handler); err != nil {
			return nil, err
		}
		var listener net.Listener
		if listener, err = net.Listen("tcp", s.Addr); err == nil {
			s.serve(&dns.Server{Listener: listener, Handler: handler})
			return s, nil
		}
		s.Stop()
		if address == s.Addr {
			break
		}
	}
	return nil, err
}

// StartUDP is Start without TCP.
func StartUDP(address string, handler dns.Handler) (*Server, error) {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: conn.LocalAddr().String()}
	s.serve(&dns.Server{PacketConn: conn, Handler: handler})
	return s, nil
}

func (s *Server) serve(server *dns.Server) {
	server.TsigSecret = map[string]string{dns.Fqdn(TSIGName): TSIGSecret}
	server.MsgAcceptFunc = withUpdates
	started, done := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { defer close(done); server.ActivateAndServe() }()
	<-started
	s.stop = append(s.stop, func() { server.Shutdown(); <-done })
}

// Stop ends the server.
func (s *Server) Stop() {
	for _, stop := range s.stop {
		stop()
	}
}

// Serve answers on a loopback port until the test ends, and returns its address.
func Serve(t testing.TB, handler dns.HandlerFunc) (address string) {
	t.Helper()
	s, err := Start(Anywhere, handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s.Addr
}

// Forward asks the server at upstream, by UDP or TCP as it was asked. What gets
// no answer there gets none here.
func Forward(upstream string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, query *dns.Msg) {
		client := dns.Client{Net: w.RemoteAddr().Network()}
		if reply, _, err := client.Exchange(query, upstream); err == nil {
			w.WriteMsg(reply)
		}
	}
}

// FreePort returns a port of the address that is free for UDP and TCP.
func FreePort(address string) (port string, err error) {
	for range 100 {
		udp, err := net.ListenPacket("udp", net.JoinHostPort(address, "0"))
		if err != nil {
			return "", err
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		udp.Close()
		if err == nil {
			tcp.Close()
			_, port, err = net.SplitHostPort(tcp.Addr().String())
			return port, err
		}
	}
	return "", errors.New("no port is free for UDP and TCP")
}
