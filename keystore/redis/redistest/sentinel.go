package redistest

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
)

// Sentinels are a master, its replica and three Sentinels that fail over within a second.
type Sentinels struct {
	Servers   []*Server // the master first
	Sentinels []*Server
}

// MasterName is what the Sentinels call the master.
const MasterName = "dkim"

// StartSentinels starts them, with further arguments for the master and the replica.
func StartSentinels(t testing.TB, args ...string) *Sentinels {
	t.Helper()
	master := Start(t, args...)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := Start(t, append(args, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")...)
	s := &Sentinels{Servers: []*Server{master, replica}}
	for range 3 {
		// A Sentinel keeps what it learns in its file.
		file := write(t, t.TempDir(), "sentinel.conf", fmt.Sprintf(`sentinel monitor %[1]s %[2]s %[3]s 2
sentinel down-after-milliseconds %[1]s 500
sentinel failover-timeout %[1]s 2000
`, MasterName, host, port))
		s.Sentinels = append(s.Sentinels, start(t, nil, []string{file, "--sentinel"}))
	}
	Until(t, "the replica is in step", func() bool {
		return strings.Contains(master.Do(t, "INFO", "replication"), "state=online")
	})
	for _, sentinel := range s.Sentinels {
		Until(t, "the Sentinels know each other and the replica", func() bool {
			facts := sentinel.Do(t, "SENTINEL", "MASTER", MasterName)
			return strings.Contains(facts, "num-other-sentinels\n2\n") && strings.Contains(facts, "num-slaves\n1\n")
		})
	}
	return s
}

// URL is that of the Sentinels for keystore/redis.
func (s *Sentinels) URL() string {
	return "redis+sentinel://" + s.Sentinels[0].Addr + "/" + MasterName +
		"?addr=" + s.Sentinels[1].Addr + "&addr=" + s.Sentinels[2].Addr
}

// Failover kills the master, when the replica has all that was written, and waits until
// that has taken over.
func (s *Sentinels) Failover(t testing.TB) {
	t.Helper()
	offset := regexp.MustCompile(`offset=(\d+),(?s:.*)master_repl_offset:(\d+)`)
	Until(t, "the replica has what was written", func() bool {
		found := offset.FindStringSubmatch(s.Servers[0].Do(t, "INFO", "replication"))
		return found != nil && found[1] == found[2]
	})
	s.Servers[0].Kill()
	_, port, _ := net.SplitHostPort(s.Servers[1].Addr)
	for _, sentinel := range s.Sentinels {
		Until(t, "the Sentinels fail over", func() bool {
			return strings.HasSuffix(sentinel.Do(t, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName), "\n"+port)
		})
	}
	Until(t, "the replica is the master", func() bool {
		return strings.HasPrefix(s.Servers[1].Do(t, "ROLE"), "master")
	})
}
