package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/redis"
	"signpost/keystore/redis/redistest"
)

// A server that restarts ends Watch and nothing else, whatever connections were open.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := first(newKey(t))
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", one)
	b := open(t, "redis://"+server.Addr)
	list(t, b)
	ended := watched(t, b)
	server.Do(t, "SAVE")
	server.Kill()
	if err := receive(t, ended); err == nil || errors.Is(err, keystore.ErrNoWatch) {
		t.Errorf("Watch: %v", err)
	}
	if err := b.List(t.Context(), func(string, string) {}); err == nil {
		t.Error("a server that is down was listed")
	}
	if _, err := b.Read(t.Context(), []string{"example.org"}); err == nil {
		t.Error("a server that is down was read")
	}
	server.StartAgain(t)
	if got := read(t, b, "example.org"); !slices.Equal(got, []string{"s=" + one}) {
		t.Errorf("read %q", got)
	}
	list(t, b)
	server.Restart(t)
	changes := watch(t, b)
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.net", one)
	until(t, changes, "example.net")
}

func receive(t *testing.T, from <-chan error) error {
	t.Helper()
	select {
	case err := <-from:
		return err
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
		return nil
	}
}

// When the master fails, its replica is used, for reading and for writing.
func TestFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t)
	b := open(t, s.URL()+"&layout=mailcow")
	block := []byte(first(newKey(t)))
	if _, err := b.Add(t.Context(), "example.org", "s1", block, time.Time{}); err != nil {
		t.Fatal(err)
	}
	ended := watched(t, b)
	s.Failover(t)
	if err := receive(t, ended); err == nil {
		t.Error("Watch goes on")
	}
	goesOn(t, b)
	hears(t, b, block)
	if got := s.Servers[1].Do(t, "HGET", "DKIM_SELECTORS", "example.net"); got != "s1" {
		t.Errorf("the new master has selector %q", got)
	}
}

// watched begins to watch a store, and returns how that will end.
func watched(t *testing.T, b *redis.Backend) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() { ended <- b.Watch(t.Context(), func() { close(ready) }, func(...string) {}) }()
	<-ready
	return ended
}

// goesOn waits until a store is read again after a server has failed, the key of example.org with it.
func goesOn(t *testing.T, b *redis.Backend) {
	t.Helper()
	redistest.Until(t, "another server is used", func() bool {
		entries, err := b.Read(t.Context(), []string{"example.org"})
		if err == nil && len(entries[0]) != 1 {
			t.Fatalf("read %d keys: a server that fails takes keys away", len(entries[0]))
		}
		return err == nil
	})
}

// hears adds a key, of which who watches the store hears.
func hears(t *testing.T, b *redis.Backend, block []byte) {
	t.Helper()
	changes := watch(t, b)
	list(t, b)
	if _, err := b.Add(t.Context(), "example.net", "s1", block, time.Time{}); err != nil {
		t.Fatal(err)
	}
	until(t, changes, "example.net")
}

// In a Cluster the hashes are on several nodes, and move.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	b := open(t, c.URL()+"&layout=mailcow")
	one, two := first(newKey(t)), first(newKey(t))
	changes := watch(t, b)
	list(t, b)
	if _, err := b.Add(t.Context(), "example.org", "s1", []byte(one), time.Time{}); err != nil {
		t.Fatal(err)
	}
	until(t, changes, "example.org")
	for hash, field := range map[string]string{"DKIM_PRIV_KEYS": "s1.example.org", "DKIM_SELECTORS": "example.org", "DKIM_PUB_KEYS": "example.org"} {
		node, _ := c.Node(t, hash)
		if node.Do(t, "HGET", hash, field) == "" {
			t.Errorf("%s has no %s", hash, field)
		}
	}
	if _, err := b.Add(t.Context(), "example.org", "s2", []byte(two), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Select(t.Context(), "example.org", "s2"); err != nil {
		t.Fatal(err)
	}
	c.Move(t, "DKIM_PRIV_KEYS", func() {
		moving := open(t, c.URL())
		if got := read(t, moving, "example.org"); len(got) != 2 {
			t.Errorf("while they move there are %d keys", len(got))
		}
		if _, err := moving.Add(t.Context(), "example.org", "s1", []byte(one), time.Time{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Add while they move: %v", err)
		}
	})
	c.Move(t, "DKIM_SELECTORS", func() {})
	other := open(t, c.URL())
	for _, b := range []*redis.Backend{b, other} {
		if got := read(t, b, "example.org"); len(got) != 2 {
			t.Errorf("after moving there are %d keys", len(got))
		}
	}
	selectors, _ := c.Node(t, "DKIM_SELECTORS")
	if got := selectors.Do(t, "HGET", "DKIM_SELECTORS", "example.org"); got != "s2" {
		t.Errorf("selected is %q", got)
	}
}

// Sentinels may have a password of their own, and TLS as the servers have; it is the same after
// a failover.
func TestSecureSentinels(t *testing.T) {
	t.Parallel()
	certificates := redistest.NewCertificates(t)
	s := redistest.StartSecureSentinels(t, certificates, "server-secret", "sentinel-secret")
	file, sentinelFile := filepath.Join(t.TempDir(), "password"), filepath.Join(t.TempDir(), "sentinels")
	writeFile(t, file, "server-secret\n")
	writeFile(t, sentinelFile, "wrong-secret\n")
	url := s.URL() + "&layout=mailcow&password_file=" + file
	b := open(t, url+"&sentinel_password_file="+sentinelFile)
	for name, store := range map[string]*redis.Backend{"WRONGPASS": b, "NOAUTH": open(t, url)} {
		err := store.List(t.Context(), func(string, string) {})
		if text := finding.Text(err); err == nil || !strings.Contains(text, name) || strings.Contains(text, "secret") ||
			!strings.Contains(text, "sentinel_password_file") {
			t.Errorf("want %s: %s", name, text)
		}
	}
	writeFile(t, sentinelFile, "sentinel-secret\n")
	if _, err := b.Add(t.Context(), "example.org", "s1", []byte(first(newKey(t))), time.Time{}); err != nil {
		t.Fatal(err)
	}
	watch(t, b)
	s.Failover(t)
	redistest.Until(t, "the new master is used", func() bool {
		entries, err := b.Read(t.Context(), []string{"example.org"})
		if err == nil && len(entries[0]) != 1 {
			t.Fatalf("read %d keys: a failover takes keys away", len(entries[0]))
		}
		return err == nil
	})
	other := open(t, strings.Replace(url, certificates.CA, redistest.NewCertificates(t).CA, 1)+
		"&sentinel_password_file="+sentinelFile)
	if err := other.List(t.Context(), func(string, string) {}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("with another authority: %v", err)
	}
}

// A Sentinel that accepts connections and says nothing, or whose host is down, does not keep
// the others from being asked in the time that there is.
func TestSilentSentinel(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	server := redistest.Start(t)
	host, port, _ := net.SplitHostPort(server.Addr)
	sentinel := fake(t, fmt.Sprintf("*2\r\n+%s\r\n+%s\r\n", host, port))
	b := open(t, "redis+sentinel://"+silent.Addr().String()+"/dkim?layout=mailcow&addr="+sentinel)
	redistest.Until(t, "the other Sentinel is asked", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return b.List(ctx, func(string, string) {}) == nil
	})
}

// When a node of a Cluster fails, its replica is used, though the URL has the address of that
// node first.
func TestClusterNodeFails(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	failed, _ := c.Node(t, "DKIM_PRIV_KEYS")
	other := c.Nodes[0]
	if other == failed {
		other = c.Nodes[1]
	}
	url := "redis+cluster://" + failed.Addr + "?layout=mailcow&addr=" + other.Addr
	b := open(t, url)
	block := []byte(first(newKey(t)))
	if _, err := b.Add(t.Context(), "example.org", "s1", block, time.Time{}); err != nil {
		t.Fatal(err)
	}
	ended := watched(t, b)
	c.Fail(t, failed, c.AddReplica(t, failed), func() {
		if err := receive(t, ended); err == nil || errors.Is(err, keystore.ErrNoWatch) {
			t.Errorf("Watch: %v", err)
		}
		for _, store := range []*redis.Backend{b, open(t, url)} {
			goesOn(t, store)
		}
	})
	hears(t, b, block)
}

// A full server is read, and takes no new key.
func TestFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	one := first(newKey(t))
	server.Do(t, "HSET", "DKIM_PRIV_KEYS", "s.example.org", one)
	server.Do(t, "CONFIG", "SET", "maxmemory", "1")
	b := open(t, "redis://"+server.Addr)
	if got := read(t, b, "example.org"); len(got) != 1 {
		t.Errorf("read %q", got)
	}
	list(t, b)
	_, err := b.Add(t.Context(), "example.net", "s", []byte(one), time.Now())
	if err == nil || !strings.Contains(finding.Text(err), "maxmemory") {
		t.Errorf("Add: %v", err)
	}
	if got := server.Do(t, "EXISTS", "DKIM_SELECTORS"); got != "0" {
		t.Error("half of a key was added")
	}
}

// A server that does not answer holds nobody up for longer than the context says.
func TestSlow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", first(newKey(t)))
	b := open(t, "redis://"+server.Addr)
	list(t, b)
	server.Do(t, "CLIENT", "PAUSE", "600000", "ALL")
	for name, call := range map[string]func(context.Context) error{
		"List":  func(ctx context.Context) error { return b.List(ctx, func(string, string) { t.Error("listed") }) },
		"Watch": func(ctx context.Context) error { return b.Watch(ctx, func() { t.Error("ready") }, nil) },
		"Notes": func(ctx context.Context) error { _, _, err := b.Notes(ctx, "example.org"); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		cancel()
	}
}

// When the password is changed on the server, the one in the file counts from then on.
func TestRevoked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", first(newKey(t)))
	server.Do(t, "ACL", "SETUSER", "signpostd", "on", ">old-secret", "~*", "+@all")
	file := filepath.Join(t.TempDir(), "password")
	writeFile(t, file, "old-secret\n")
	b := open(t, "redis://signpostd@"+server.Addr+"?password_file="+file)
	list(t, b)
	server.Do(t, "ACL", "SETUSER", "signpostd", "resetpass", ">new-secret")
	server.Do(t, "CLIENT", "KILL", "USER", "signpostd")
	err := b.List(t.Context(), func(string, string) {})
	if err == nil || !strings.Contains(finding.Text(err), "WRONGPASS") || !strings.Contains(finding.Text(err), "password_file") {
		t.Errorf("with the old password: %v", err)
	}
	if strings.Contains(finding.Text(err), "secret") || strings.Contains(b.Name(), "signpostd") {
		t.Errorf("it shows secrets: %s: %s", b.Name(), finding.Text(err))
	}
	writeFile(t, file, "new-secret\n")
	if got := read(t, b, "example.org"); len(got) != 1 {
		t.Errorf("read %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	server.Do(t, "ACL", "DELUSER", "signpostd")
	if err := b.List(t.Context(), func(string, string) {}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without the file: %v", err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TLS proves the server, and the client where the server wants that.
func TestTLS(t *testing.T) {
	t.Parallel()
	good, other := redistest.NewCertificates(t), redistest.NewCertificates(t)
	server := redistest.StartTLS(t, good)
	server.Do(t, "HSET", "DKIM_KEYS", "s.example.org", first(newKey(t)))
	client := "&cert=" + good.ClientCert + "&key=" + good.ClientKey
	for query, works := range map[string]bool{
		"?ca=" + good.CA + client:                             true,
		"?ca=" + good.CA + client + "&server_name=redis.test": true,
		"?ca=" + good.CA + client + "&server_name=other.test": false,
		"?ca=" + good.CA:                                         false,
		"?ca=" + other.CA + client:                               false,
		"?ca=" + good.CA + client + ".none":                      false,
		"?ca=" + filepath.Join(t.TempDir(), "none.crt") + client: false,
	} {
		b := open(t, "rediss://"+server.Addr+query)
		err := b.List(t.Context(), func(string, string) {})
		if (err == nil) != works {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// What the server or something in its place answers is never "no such key", has a hint, and
// shows no secret.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"-LOADING Redis is loading the dataset in memory":                    "is starting",
		"-NOAUTH Authentication required.":                                   "password_file",
		"-NOPERM this user has no permissions to run the 'hkeys' command":    "ACL SETUSER",
		"-CLUSTERDOWN The cluster is down":                                   "--cluster check",
		"-MOVED 866 127.0.0.1:7000":                                          "redis+cluster://",
		"-BUSY Redis is busy running a script.":                              "SCRIPT KILL",
		"-WRONGTYPE Operation against a key holding the wrong kind of value": "layout",
		"-MASTERDOWN Link with MASTER is down":                               "lost its master",
		"-DENIED Redis is running in protected mode":                         "protected mode",
		"-ERR max number of clients reached":                                 "max number of clients",
		"-ERR unknown command 'HKEYS', with args beginning with: 's3cret'":   "unknown command",
		"HTTP/1.1 400 Bad Request":                                           "not an answer of Redis",
		"$-1":                                                                "",
		"*1\r\n:1":                                                           "",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*0": "nested too deep",
		"$99999999999": "invalid length",
	} {
		t.Run(strings.Trim(answer, "-\r\n"), func(t *testing.T) {
			t.Parallel()
			b := open(t, "redis://:s3cret@"+fake(t, answer+"\r\n")+"?prefix=keys")
			for name, call := range map[string]func() error{
				"List":  func() error { return b.List(t.Context(), func(string, string) {}) },
				"Read":  func() error { _, err := b.Read(t.Context(), []string{"example.org"}); return err },
				"Watch": func() error { return b.Watch(t.Context(), func() {}, nil) },
			} {
				err := call()
				if err == nil || errors.Is(err, keystore.ErrNoWatch) {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if text := finding.Text(err); !strings.Contains(text, want) || strings.Contains(text, "s3cret") {
					t.Errorf("%s: %s", name, text)
				}
			}
		})
	}
}

// fake is a server that lets in, and gives the same answer to all else.
func fake(t *testing.T, answer string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for reply := "%0\r\n"; ; reply = answer {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := io.WriteString(c, reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
