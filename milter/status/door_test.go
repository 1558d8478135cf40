package status

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// crowd opens connections to a server from one address.
type crowd struct {
	t       *testing.T
	address string
	from    string
}

// open opens one and sends a text.
func (c crowd) open(text string) net.Conn {
	c.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
	conn, err := dialer.DialContext(c.t.Context(), "tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		c.t.Log(err) // closed for another already
	}
	return conn
}

// ask gets a page by a new connection.
func (c crowd) ask(path string) (code int, took time.Duration) {
	c.t.Helper()
	start := time.Now()
	conn := c.open("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	conn.SetDeadline(start.Add(30 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		c.t.Errorf("%s from %s: %v", path, c.from, err)
		return 0, time.Since(start)
	}
	return resp.StatusCode, time.Since(start)
}

// startServer serves peers in 127.1.0.0/16, as signpostd does.
func startServer(t *testing.T) (address string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	source := sourceOf(someDomains())
	access := Access{Peers: []netip.Prefix{netip.MustParsePrefix("127.1.0.0/16")}}
	return start(t, NewHandler(source, recorderOf(source, 0), access, log))
}

func start(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(handler, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- server.Serve(Bounded(ln)) }()
	t.Cleanup(func() { server.Close(); <-served })
	return ln.Addr().String()
}

// Whatever a peer that may see nothing does with a thousand connections, all others
// are answered at once, and so is it.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"silent":        "",
		"half a header": "GET / HTTP/1.1\r\nHost: local",
		"kept":          "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"healthy":       "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			address := startServer(t)
			many := crowd{t, address, "127.0.0.9"}
			slowest := time.Duration(0)
			for i := range 1000 {
				many.open(text)
				if i%100 != 99 {
					continue
				}
				for _, one := range []struct {
					from, path string
					code       int
				}{
					{"127.1.0.1", "/", http.StatusOK},
					{"127.1.0.1", "/healthz", http.StatusOK},
					{"127.0.0.8", "/healthz", http.StatusOK},
					{"127.0.0.9", "/healthz", http.StatusOK},
					{"127.0.0.9", "/metrics", http.StatusForbidden},
				} {
					code, took := crowd{t, address, one.from}.ask(one.path)
					if code != one.code {
						t.Fatalf("%s from %s after %d connections: %d", one.path, one.from, i+1, code)
					}
					slowest = max(slowest, took)
				}
			}
			t.Log("the slowest answer took", slowest)
		})
	}
}

// Peers with a reason to ask keep their connection, others do not.
func TestWhoIsKept(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	for from, kept := range map[string]bool{"127.1.0.1": true, "127.0.0.9": false} {
		for _, path := range []string{"/healthz", "/readyz", "/", "/metrics", "/other"} {
			request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
			conn := crowd{t, address, from}.open(request)
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			answers := bufio.NewReader(conn)
			read := func() error {
				resp, err := http.ReadResponse(answers, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
				}
				return err
			}
			if err := read(); err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, request)
			if err := read(); (err == nil) != kept {
				t.Errorf("a second %s from %s: %v", path, from, err)
			}
		}
	}
}

// A crowd takes its own places, not those of requests in progress. Those of one host
// with many addresses are one peer's.
func TestRequestSurvivesCrowd(t *testing.T) {
	t.Parallel()
	begun, end := make(chan bool), make(chan bool)
	address := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- true
		<-end
	}))
	answered := make(chan int, 1)
	go func() {
		code, _ := crowd{t, address, "127.1.0.1"}.ask("/")
		answered <- code
	}()
	<-begun
	for i := range 600 {
		crowd{t, address, fmt.Sprintf("127.0.0.%d", 1+i%6)}.open("")
	}
	close(end)
	if code := <-answered; code != http.StatusOK {
		t.Error(code)
	}
	if a, b := net.ParseIP("2001:db8::1"), net.ParseIP("2001:db8::2:3"); peerOf(from{ip: a}) != peerOf(from{ip: b}) {
		t.Error("two addresses of a /64 are two peers")
	}
}

// from is a connection with a remote address and nothing else.
type from struct {
	net.Conn
	ip net.IP
}

func (f from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: f.ip, Port: 1} }

// A header that trickles in does not last.
func TestSlowHeader(t *testing.T) {
	t.Parallel()
	conn := crowd{t, startServer(t), "127.1.0.1"}.open("GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
	begun := time.Now()
	for time.Since(begun) < 20*time.Second {
		if _, err := io.WriteString(conn, "x"); err != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Error("it lasted", took)
	}
}
