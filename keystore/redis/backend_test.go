package redis_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/redis"
	"signpost/keystore/redis/redistest"
)

// newKey returns a new Ed25519 key, as PEM and as base64 of its DER.
func newKey(t testing.TB) (block, text string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return block, base64.StdEncoding.EncodeToString(der)
}

func open(t testing.TB, url string) *redis.Backend {
	t.Helper()
	b, err := redis.New(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// list returns what is listed, with the versions.
func list(t testing.TB, b *redis.Backend) map[string]string {
	t.Helper()
	all := make(map[string]string)
	if err := b.List(t.Context(), func(domain, version string) { all[domain] = version }); err != nil {
		t.Fatal(err)
	}
	return all
}

// read returns the selectors and values of a domain, as selector=value.
func read(t testing.TB, b *redis.Backend, domain string) []string {
	t.Helper()
	entries, err := b.Read(t.Context(), []string{domain})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries[0] {
		if e.Err != nil {
			t.Errorf("%s: %v", e.Place, e.Err)
		}
		all = append(all, e.Selector+"="+string(e.Data))
	}
	slices.Sort(all)
	return all
}

// Keys are listed and read as mailcow and rspamd write them.
func TestLayouts(t *testing.T) {
	t.Parallel()
	block, text := newKey(t)
	for name, test := range map[string]struct {
		query    string
		commands [][]string
		want     map[string]string // the selectors of a domain
		ignored  int
	}{
		"mailcow": {
			commands: [][]string{
				{"HSET", "DKIM_PUB_KEYS", "example.org", "p", "example.net", "p"},
				{"HSET", "DKIM_SELECTORS", "example.org", "dkim", "example.net", "a.b"},
				{"HSET", "DKIM_PRIV_KEYS", "dkim.example.org", block, "a.b.example.net", block, "new.example.org", block},
			},
			want: map[string]string{"example.org": "dkim new", "example.net": "a.b"},
		},
		"rspamd's configuration": {
			commands: [][]string{{"HSET", "DKIM_KEYS", "dkim.example.org", text, "s.mail.example.org", text}},
			want:     map[string]string{"example.org": "dkim", "mail.example.org": "s"},
		},
		"rspamd's module": {
			commands: [][]string{
				{"HSET", "dkim_keys", "dkim.example.org", text, "x.y.example.net", text},
				{"HSET", "dkim_selectors", "example.net", "x.y"},
			},
			want: map[string]string{"example.org": "dkim", "example.net": "x.y"},
		},
		"rspamd with other names": {
			query: "?prefix=keys&selectors=names",
			commands: [][]string{
				{"HSET", "keys", "dkim.example.org", text, "x.y.example.net", block},
				{"HSET", "names", "example.net", "x.y"},
				{"HSET", "DKIM_PRIV_KEYS", "other.example.com", block},
			},
			want: map[string]string{"example.org": "dkim", "example.net": "x.y"},
		},
		"fields that are no names": {
			commands: [][]string{{"HSET", "DKIM_KEYS", "dkim.example.org", text, "dkim", text, "dkim.Example.Net", text,
				"dkim.localhost", text, "-.example.com", text, "dkim..example.com", text, "", text}},
			want:    map[string]string{"example.org": "dkim"},
			ignored: 6,
		},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range test.commands {
				server.Do(t, command...)
			}
			b := open(t, "redis://"+server.Addr+"/"+test.query)
			listed := list(t, b)
			if len(listed) != len(test.want) {
				t.Errorf("listed %v", listed)
			}
			if got := len(b.Ignored()); got != test.ignored {
				t.Errorf("ignored are %q", b.Ignored())
			}
			for domain, selectors := range test.want {
				var got []string
				for _, key := range read(t, b, domain) {
					selector, value, _ := strings.Cut(key, "=")
					if _, err := keystore.ParsePrivate([]byte(value)); err != nil {
						t.Errorf("%s %s: %v", domain, selector, err)
					}
					got = append(got, selector)
				}
				if _, ok := listed[domain]; !ok || strings.Join(got, " ") != selectors {
					t.Errorf("%s: listed %v, selectors %q", domain, ok, got)
				}
			}
			if got := read(t, b, "example.invalid"); got != nil {
				t.Errorf("a domain without keys has %q", got)
			}
		})
	}
}

// watch follows a store until the test ends, and returns what changes.
func watch(t *testing.T, b *redis.Backend) <-chan []string {
	t.Helper()
	changes := make(chan []string, 1000)
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- b.Watch(ctx, func() { close(ready) }, func(domains ...string) { changes <- domains })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; ctx.Err() == nil && err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("Watch is not ready")
	}
	return changes
}

// until waits until the domain is reported, and fails when others are.
func until(t *testing.T, changes <-chan []string, domain string) {
	t.Helper()
	select {
	case domains := <-changes:
		if !slices.Equal(domains, []string{domain}) {
			t.Errorf("reported %q, want %q", domains, domain)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s: not reported", domain)
	}
}

// What others write is reported: new keys, keys that are gone, and other keys under the same
// name, by tracking and by notifications; and where there is neither, Watch says so.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args  []string
		setup [][]string
		user  string
		blind bool
	}{
		"tracking": {},
		"before Redis 6": {
			args: []string{"--rename-command", "HELLO", "", "--rename-command", "EVAL_RO", "",
				"--notify-keyspace-events", "Khg"},
			setup: [][]string{{"ACL", "SETUSER", "old", "on", ">secret", "~*", "&*", "+@all"}},
			user:  "old:secret@",
		},
		"notifications": {setup: [][]string{
			{"CONFIG", "SET", "notify-keyspace-events", "Khg"},
			{"ACL", "SETUSER", "default", "-client"},
		}},
		"no scripts": {setup: [][]string{{"ACL", "SETUSER", "default", "-@scripting"}}},
		"neither":    {setup: [][]string{{"ACL", "SETUSER", "default", "-client"}}, blind: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, test.args...)
			one, two := first(newKey(t)), first(newKey(t))
			server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", one, "s.example.net", one, "s.example.com", one)
			for _, command := range test.setup {
				server.Do(t, command...)
			}
			b := open(t, "redis://"+test.user+server.Addr)
			before := list(t, b)
			read(t, b, "example.org")
			if again := list(t, b); again["example.org"] != before["example.org"] {
				t.Error("the version changes by reading")
			}
			if test.blind {
				err := b.Watch(t.Context(), func() { t.Error("ready") }, nil)
				if !isNoWatch(err) {
					t.Errorf("Watch: %v", err)
				}
				server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", two)
				if after := list(t, b); after["example.org"] == before["example.org"] {
					t.Error("the version of a changed key is as before")
				}
				return
			}
			changes := watch(t, b)
			list(t, b)
			server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", two)
			until(t, changes, "example.org")
			if got := read(t, b, "example.org"); !slices.Equal(got, []string{"s=" + two}) {
				t.Errorf("read %q", got)
			}
			if after := list(t, b); after["example.org"] == before["example.org"] || after["example.net"] != before["example.net"] {
				t.Errorf("versions were %v and are %v", before, after)
			}
			server.Do(t, "HSET", "DKIM_KEYS", "t.example.net", two)
			until(t, changes, "example.net")
			server.Do(t, "HDEL", "DKIM_KEYS", "s.example.com")
			until(t, changes, "example.com")
			server.Do(t, "HSET", "DKIM_KEYS", "s.example.info", two)
			until(t, changes, "example.info")
			if got := read(t, b, "example.info"); len(got) != 1 {
				t.Errorf("read %q", got)
			}
		})
	}
}

// However fast keys are written, listing them takes no more than a twentieth of the time: where
// it takes long, the next change waits.
func TestBurst(t *testing.T) {
	t.Parallel()
	const delay = 50 * time.Millisecond
	server := redistest.Start(t)
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", "x")
	b := open(t, "redis://"+slow(t, server.Addr, delay))
	changes := watch(t, b)
	list(t, b)
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.net", "x")
	until(t, changes, "example.net")
	began := time.Now()
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.com", "x")
	until(t, changes, "example.com")
	if took := time.Since(began); took < 10*delay {
		t.Errorf("keys are listed again after %v", took)
	}
}

// slow is a way to a server on which each answer takes longer.
func slow(t *testing.T, addr string, delay time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	pass := func(from, to net.Conn, delay time.Duration) {
		defer from.Close()
		defer to.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			time.Sleep(delay)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				_ = client.Close()
				return
			}
			go pass(client, server, 0)
			go pass(server, client, delay)
		}
	}()
	return l.Addr().String()
}

func first(block, _ string) string { return block }

func isNoWatch(err error) bool { return errors.Is(err, keystore.ErrNoWatch) }
