package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"signpost/test/lab/nameserver"
)

// A Sink is a receiving mail server that keeps every message exactly as it
// came, dot-stuffing undone.
type Sink struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu       sync.Mutex
	received []Delivery
	deferred int
	refuse   bool
	sevenBit bool // offers neither 8BITMIME nor SMTPUTF8
	zones    []*nameserver.Zone
	conns    map[net.Conn]bool
}

// A Delivery is one message at the sink.
type Delivery struct {
	Client, Helo string // who handed it over
	Time         time.Time

	From string
	To   []string
	Data []byte // as on the wire, lines end in CRLF

	Views [][]dns.RR // the records of each zone that the sink watches, at that time
}

// StartSink receives at an address with port until Stop.
func StartSink(address string) (*Sink, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("receiving mail: %w", err)
	}
	s := &Sink{listener: listener, conns: make(map[net.Conn]bool)}
	s.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.serving.Go(func() {
				s.serve(conn)
				s.mu.Lock()
				delete(s.conns, conn)
				s.mu.Unlock()
			})
		}
	})
	return s, nil
}

// Addr is where the sink receives.
func (s *Sink) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// Stop ends the sink and its connections.
func (s *Sink) Stop() {
	s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// RefuseAll makes the sink answer every recipient with 450, or stop doing so.
func (s *Sink) RefuseAll(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = on
}

// OfferSevenBit makes the sink one that takes 7-bit mail only.
func (s *Sink) OfferSevenBit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sevenBit = true
}

func (s *Sink) extensions() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sevenBit {
		return "250-sink\r\n250-SIZE\r\n250 PIPELINING"
	}
	return "250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE\r\n250 PIPELINING"
}

// Deferrals counts the recipients answered with 450.
func (s *Sink) Deferrals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deferred
}

// All returns the deliveries so far, oldest first.
func (s *Sink) All() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received[:len(s.received):len(s.received)]
}

// Find returns the deliveries whose message contains text.
func (s *Sink) Find(text string) []Delivery {
	var found []Delivery
	for _, d := range s.All() {
		if bytes.Contains(d.Data, []byte(text)) {
			found = append(found, d)
		}
	}
	return found
}

// serve speaks as much SMTP as Postfix and rspamd need to deliver.
func (s *Sink) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	say := func(reply string) { fmt.Fprintf(conn, "%s\r\n", reply) }
	client, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	var helo string
	var d Delivery
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
		case "HELO":
			helo = argument
			say("250 sink")
		case "MAIL":
			d = Delivery{Client: client, Helo: helo, From: address(argument)}
			say("250 ok")
		case "RCPT":
			if s.refuses() {
				say("450 4.2.0 not now")
				continue
			}
			d.To = append(d.To, address(argument))
			say("250 ok")
		case "DATA":
			if len(d.To) == 0 {
				say("554 no recipients")
				continue
			}
			say("354 go on")
			if d.Data, err = readData(in); err != nil {
				return
			}
			s.keep(d)
			d = Delivery{}
			say("250 ok")
		case "RSET", "NOOP":
			d = Delivery{}
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 no such command")
		}
	}
}

// Watch makes the sink keep the records of the zones with each delivery.
func (s *Sink) Watch(zones ...*nameserver.Zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones = zones
}

func (s *Sink) keep(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Time = time.Now()
	for _, zone := range s.zones {
		d.Views = append(d.Views, zone.Records())
	}
	s.received = append(s.received, d)
}

func (s *Sink) refuses() bool {
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
