package redistest

import "testing"

// A server answers, and has its data after a restart.
func TestServer(t *testing.T) {
	t.Parallel()
	s := Start(t, "--maxmemory-policy", "noeviction")
	s.Do(t, "HSET", "hash", "field", "value")
	if s.Restart(t); s.Do(t, "HGET", "hash", "field") != "value" {
		t.Error("the value is gone")
	}
	if _, err := s.Try("HGET", "hash"); err == nil {
		t.Error("a wrong command gives no error")
	}
	secure := StartTLS(t, NewCertificates(t))
	if got := secure.Do(t, "PING"); got != "PONG" {
		t.Errorf("over TLS: %q", got)
	}
}

// The Sentinels promote the replica, with its data.
func TestSentinels(t *testing.T) {
	t.Parallel()
	s := StartSentinels(t)
	s.Servers[0].Do(t, "HSET", "hash", "field", "value")
	s.Failover(t)
	if got := s.Servers[1].Do(t, "HGET", "hash", "field"); got != "value" {
		t.Errorf("the new master has %q", got)
	}
}

// A key moves to another node.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	was, _ := c.Node(t, "hash")
	was.Do(t, "HSET", "hash", "field", "value")
	c.Move(t, "hash", func() {})
	is, _ := c.Node(t, "hash")
	if got := is.Do(t, "HGET", "hash", "field"); is == was || got != "value" {
		t.Errorf("the new node has %q", got)
	}
}
