package system

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A sink is a receiving mail server that keeps every message exactly as it
// came, dot-stuffing undone.
type sink struct {
	mu       sync.Mutex
	received []delivery
	deferred int
	refuse   bool
	sevenBit bool          // offers neither 8BITMIME nor SMTPUTF8
	dns      []*nameServer // whose views are kept with each delivery
	conns    map[net.Conn]bool
}

// A delivery is one message at the sink.
type delivery struct {
	client, helo string // who handed it over

	from string
	to   []string
	data []byte // as on the wire, lines end in CRLF

	views [][]dns.RR // what each of the sink's name servers had to say then
}

// startSink receives on port 25 of ip until the test ends.
func startSink(t testing.TB, ip string) *sink {
	t.Helper()
	listener, err := net.Listen("tcp", ip+":25")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{conns: make(map[net.Conn]bool)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			serving.Go(func() {
				s.serve(conn)
				s.mu.Lock()
				delete(s.conns, conn)
				s.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		serving.Wait()
	})
	return s
}

// refuseAll makes the sink answer every recipient with 450, or stop doing so.
func (s *sink) refuseAll(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = on
}

// offerSevenBit makes the sink one that takes 7-bit mail only.
func (s *sink) offerSevenBit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sevenBit = true
}

func (s *sink) extensions() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sevenBit {
		return "250-sink\r\n250-SIZE\r\n250 PIPELINING"
	}
	return "250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE\r\n250 PIPELINING"
}

// deferrals counts the recipients answered with 450.
func (s *sink) deferrals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deferred
}

// all returns the deliveries so far, oldest first.
func (s *sink) all() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received[:len(s.received):len(s.received)]
}

// find returns the deliveries whose message contains text.
func (s *sink) find(text string) []delivery {
	var found []delivery
	for _, d := range s.all() {
		if bytes.Contains(d.data, []byte(text)) {
			found = append(found, d)
		}
	}
	return found
}

// serve speaks as much SMTP as Postfix needs to deliver.
func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	say := func(reply string) { fmt.Fprintf(conn, "%s\r\n", reply) }
	client, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	var helo string
	var d delivery
	say("220 sink ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			helo = argument
			say(s.extensions())
		case "MAIL":
			d = delivery{client: client, helo: helo, from: address(argument)}
			say("250 ok")
		case "RCPT":
			if s.refuses() {
				say("450 4.2.0 not now")
				continue
			}
			d.to = append(d.to, address(argument))
			say("250 ok")
		case "DATA":
			if len(d.to) == 0 {
				say("554 no recipients")
				continue
			}
			say("354 go on")
			if d.data, err = readData(in); err != nil {
				return
			}
			s.keep(d)
			d = delivery{}
			say("250 ok")
		case "RSET", "NOOP":
			d = delivery{}
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 no such command")
		}
	}
}

// watch makes the sink keep what the name servers say with each delivery.
func (s *sink) watch(servers ...*nameServer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dns = servers
}

func (s *sink) keep(d delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ns := range s.dns {
		d.views = append(d.views, ns.view())
	}
	s.received = append(s.received, d)
}

func (s *sink) refuses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse {
		s.deferred++
	}
	return s.refuse
}

// address takes the address out of `FROM:<a@b> SIZE=1`.
func address(argument string) string {
	_, rest, _ := strings.Cut(argument, "<")
	inner, _, _ := strings.Cut(rest, ">")
	return inner
}

// readData reads a message up to the final dot, byte for byte.
func readData(in *bufio.Reader) ([]byte, error) {
	var data []byte
	atStart := true // of a line
	for {
		piece, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if atStart && bytes.Equal(piece, []byte(".\r\n")) {
			return data, nil
		}
		if atStart && len(piece) > 0 && piece[0] == '.' {
			piece = piece[1:]
		}
		data = append(data, piece...)
		atStart = err == nil
	}
}
