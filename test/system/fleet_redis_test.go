package system

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"signpost/test/lab"
)

// A redisStore is a Redis with a replica and three sentinels, each at an address of its own,
// with keys as mailcow has them.
type redisStore struct {
	t         testing.TB
	dir       string
	servers   []string // addresses
	sentinels []string
	running   map[string]*exec.Cmd // by address
}

func startRedis(f *fleet) keyStore {
	f.t.Helper()
	s := &redisStore{t: f.t, dir: f.dir, running: make(map[string]*exec.Cmd)}
	for last := 101; last <= 105; last++ {
		address, err := f.network.Also(last)
		if err != nil {
			f.t.Fatal(err)
		}
		if last <= 102 {
			s.servers = append(s.servers, address)
		} else {
			s.sentinels = append(s.sentinels, address)
		}
	}
	s.start(s.servers[0], "6379", "")
	s.start(s.servers[1], "6379", "replicaof "+s.servers[0]+" 6379\n")
	await(s.t, "the replica to follow", func() bool {
		return strings.Contains(s.say(s.servers[1], "6379", "info replication\n"), "master_link_status:up")
	})
	for _, address := range s.sentinels {
		s.start(address, "26379", "sentinel monitor fleet "+s.servers[0]+" 6379 2\n"+
			"sentinel down-after-milliseconds fleet 1000\nsentinel failover-timeout fleet 10000\n")
	}
	await(s.t, "the sentinels to know each other and the replica", func() bool {
		for _, address := range s.sentinels {
			known := s.say(address, "26379", "sentinel master fleet\n")
			if !strings.Contains(known, "num-slaves\n1\n") || !strings.Contains(known, "num-other-sentinels\n2\n") {
				return false
			}
		}
		return true
	})
	return s
}

// start starts a server or, where its configuration has one to monitor, a sentinel.
func (s *redisStore) start(address, port, config string) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "redis-"+address)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(dir, "conf")
	args := []string{file}
	own := fmt.Sprintf("bind %s\nport %s\ndir %s\nprotected-mode no\n", address, port, dir)
	if port == "26379" {
		args = append(args, "--sentinel")
		own += "sentinel announce-ip " + address + "\n"
	} else {
		own += "save \"\"\nreplica-announce-ip " + address + "\n"
	}
	if _, err := os.Stat(file); err != nil { // what they write into it themselves stays
		if err := os.WriteFile(file, []byte(own+config), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd := lab.Redis(args...)
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("%v; hint: make setup", err)
	}
	if s.running[address] == nil {
		s.t.Cleanup(func() { s.kill(address) })
	}
	s.running[address] = cmd
	await(s.t, "redis-server at "+address, func() bool { return s.say(address, port, "ping\n") == "PONG\n" })
}

func (s *redisStore) kill(address string) {
	s.running[address].Process.Kill()
	s.running[address].Wait()
}

// say returns what redis-cli prints for commands, "" where there is no answer.
func (s *redisStore) say(address, port, commands string) string {
	cmd := exec.Command("redis-cli", "-h", address, "-p", port)
	cmd.Stdin = strings.NewReader(commands)
	out, _ := cmd.Output()
	return strings.ReplaceAll(string(out), "\r", "")
}

// primary is the server that the first sentinel would send a client to.
func (s *redisStore) primary() string {
	address, _, _ := strings.Cut(s.say(s.sentinels[0], "26379", "sentinel get-master-addr-by-name fleet\n"), "\n")
	return address
}

func (s *redisStore) settings() (args, env []string) {
	return []string{fmt.Sprintf("--keys=redis+sentinel://%s:26379/fleet?addr=%s:26379&addr=%s:26379",
		s.sentinels[0], s.sentinels[1], s.sentinels[2])}, nil
}

// put writes keys as mailcow does.
func (s *redisStore) put(keys ...storedKey) {
	s.t.Helper()
	var commands bytes.Buffer
	for _, k := range keys {
		der, _ := pem.Decode(k.pem)
		_, public, _ := strings.Cut(k.text, "p=")
		fmt.Fprintf(&commands, "hset DKIM_PRIV_KEYS %s.%s \"-----BEGIN PRIVATE KEY-----\\n%s\\n-----END PRIVATE KEY-----\"\n",
			k.selector, k.domain, base64.StdEncoding.EncodeToString(der.Bytes))
		fmt.Fprintf(&commands, "hset DKIM_PUB_KEYS %s %s\nhset DKIM_SELECTORS %s %s\n", k.domain, public, k.domain, k.selector)
	}
	if said := s.say(s.primary(), "6379", commands.String()); strings.Count(said, "\n") != 3*len(keys) || strings.Contains(said, "ERR") {
		s.t.Fatalf("redis says %.200q", said)
	}
}

// fail kills the primary, and starts it again when the replica has taken its place. For a
// while it is a second one then, without keys, until the sentinels make it a replica.
func (s *redisStore) fail(meanwhile func()) {
	s.t.Helper()
	before := s.primary()
	s.kill(before)
	meanwhile()
	await(s.t, "the sentinels to agree on another primary", func() bool { return s.primary() != before })
	s.start(before, "6379", "")
}
