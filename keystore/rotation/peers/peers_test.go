package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/keystore/rotation"
)

const (
	header = "signpost findings 1 "
	found  = "found a.example s1 000102030405060708090a0b0c0d0e0f 1800000000 0 0\n"
)

// inbox is what was found, and a log.
type inbox struct {
	mu  sync.Mutex
	all []rotation.Finding
	log bytes.Buffer
}

func (i *inbox) found(f []rotation.Finding) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.all = append(i.all, f...)
}

func (i *inbox) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.Write(p)
}

func (i *inbox) count(s string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return strings.Count(i.log.String(), s)
}

func (i *inbox) len() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.all)
}

// peersAt returns the peers at servers, for a node with the name self.
func peersAt(i *inbox, servers ...string) *Peers {
	return New(servers, "self", func(place string) bool { return place == "own.1" }, slog.New(slog.NewTextHandler(i, nil)))
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// A peer is asked for what it found since the last time, and lives while it answers.
func TestFetch(t *testing.T) {
	t.Parallel()
	var asked []string
	broken := false
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked = append(asked, r.URL.String()); broken {
			http.Error(w, "it is down; hint: wait", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%sother place.%d\n%send\n", header, len(asked), found)
	})
	own := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, header, "self own.1\n", found, "end\n") })
	i := new(inbox)
	p := peersAt(i, address, own)
	fetch := func(want ...string) {
		t.Helper()
		for _, one := range p.known {
			one.again = time.Time{}
		}
		if nodes, err := p.Fetch(t.Context(), i.found); err != nil || !slices.Equal(nodes, want) {
			t.Errorf("%v live, %v", nodes, err)
		}
	}
	fetch("other")
	fetch("other")
	if want := []string{"/findings?since=", "/findings?since=place.1"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	if i.len() != 3 { // of this node itself, once
		t.Errorf("found %v", i.all)
	}
	broken = true
	fetch()
	fetch()
	broken = false
	fetch("other")
	if asked[4] != "/findings?since=" {
		t.Errorf("after a failure asked %q", asked[4])
	}
	if i.count("a peer does not say") != 1 || i.count("it is down") != 1 || i.count("says what the DNS said again") != 1 {
		t.Errorf("the log says\n%s", &i.log)
	}
}

// endless never ends what it says.
type endless string

func (e endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// Whatever a peer says, or does not, this node goes on, and the others are heard.
func TestHostilePeers(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	slow := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for {
			select {
			case <-stop:
				return
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
				_, _ = io.WriteString(w, "s")
				w.(http.Flusher).Flush()
			}
		}
	}
	handlers := map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\x00\xff<html>") },
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"cut off": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, header, "n p.1\n", found) },
		"garbage within": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, header, "n p.1\n", found, "found x\nend\n")
		},
		"no name":         func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, header, "\nend\n") },
		"a line of bytes": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, io.LimitReader(endless("x"), 1<<20)) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/other", http.StatusFound)
		},
		"slow": slow,
	}
	var addresses []string
	for _, handler := range handlers {
		addresses = append(addresses, serve(t, handler))
	}
	t.Cleanup(func() { close(stop) }) // before the servers close
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close() // accepts and says nothing
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	well := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, header, "well p.1\n", found, "end\n") })
	i := new(inbox)
	p := peersAt(i, append(addresses, deaf.Addr().String(), gone.Addr().String(), "does-not-exist.invalid:1", well)...)
	lookup := p.lookup
	p.lookup = func(ctx context.Context, host string) ([]string, error) {
		if strings.HasSuffix(host, ".invalid") {
			return nil, errors.New("no such host")
		}
		return lookup(ctx, host)
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		nodes, err := p.Fetch(ctx, i.found)
		cancel()
		if err != nil || !slices.Equal(nodes, []string{"well"}) {
			t.Fatalf("%v live, %v", nodes, err)
		}
	}
	if n := len(handlers) - 1 + 1; i.count("a peer does not say") != n || i.count("a peer has no address") != 1 {
		t.Errorf("the log says\n%s", &i.log)
	}
}

// What a peer says without an end is read no further than the bound.
func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	read := &counter{from: endless(found)}
	_, _, err := rotation.ReadFindings(io.LimitReader(io.MultiReader(strings.NewReader(header+"n p.1\n"), read), 1<<20), func([]rotation.Finding) {})
	if err == nil || read.n > 1<<20 {
		t.Errorf("%d bytes were read, %v", read.n, err)
	}
}

type counter struct {
	from io.Reader
	n    int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += n
	return n, err
}

// A name stands for all its addresses, and goes on with them while it cannot be looked up.
func TestNamesWithSeveralAddresses(t *testing.T) {
	t.Parallel()
	i := new(inbox)
	p := peersAt(i, "all.example:1")
	for step, test := range []struct {
		addresses []string
		err       error
		want      int
	}{
		{[]string{"127.0.0.2", "127.0.0.3", "::1"}, nil, 3},
		{nil, errors.New("no answer"), 3},
		{nil, errors.New("no answer"), 3},
		{[]string{"127.0.0.3"}, nil, 1},
	} {
		p.lookup = func(context.Context, string) ([]string, error) { return test.addresses, test.err }
		p.looked = time.Time{}
		p.look(t.Context())
		if len(p.known) != test.want {
			t.Errorf("step %d: %d addresses, want %d", step, len(p.known), test.want)
		}
	}
	if n := i.count("a peer has no address"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

func TestTwoNodesOfOneName(t *testing.T) {
	t.Parallel()
	i := new(inbox)
	p := peersAt(i, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, header, "self p.1\nend\n") }))
	for range 2 {
		if nodes, _ := p.Fetch(t.Context(), i.found); len(nodes) > 0 {
			t.Errorf("%v live", nodes)
		}
	}
	if n := i.count("has the name of this node"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

func TestParseNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"mail-0, mail-1:8899":          "mail-0:8890 mail-1:8899",
		"10.0.0.1,[2001:db8::1]:1,::1": "10.0.0.1:8890 [2001:db8::1]:1 [::1]:8890",
		"http://mail-0":                "error", "mail-0:none": "error", "mail-0:0": "error", ":1": "error", "a/b": "error",
	} {
		names, err := ParseNames(text)
		got := strings.Join(names, " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}
