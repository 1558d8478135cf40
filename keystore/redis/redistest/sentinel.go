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
	return startSentinels(t, Server{args: args}, Server{})
}

// StartSecureSentinels starts them with TLS alone and with passwords, one for the servers and
// one for the Sentinels.
func StartSecureSentinels(t testing.TB, certificates *Certificates, password, sentinelPassword string) *Sentinels {
	t.Helper()
	args := []string{"--tls-replication", "yes", "--requirepass", password, "--masterauth", password}
	return startSentinels(t, Server{args: args, tls: certificates, password: password},
		Server{tls: certificates, password: sentinelPassword})
}

func startSentinels(t testing.TB, like, sentinelLike Server) *Sentinels {
	t.Helper()
	master := start(t, like)
	host, port, _ := net.SplitHostPort(master.Addr)
	like.args = append(like.args, "--replicaof", host+" "+port)
	s := &Sentinels{Servers: []*Server{master, start(t, like)}}
	config := fmt.Sprintf(`sentinel monitor %[1]s %[2]s %[3]s 2
sentinel down-after-milliseconds %[1]s 500
sentinel failover-timeout %[1]s 2000
`, MasterName, host, port)
	if like.password != "" {
		config += fmt.Sprintf("sentinel auth-pass %s %s\nrequirepass %[3]s\n"+
			"sentinel sentinel-pass %[3]s\ntls-replication yes\n",
			MasterName, like.password, sentinelLike.password)
	}
	for range 3 {
		// A Sentinel keeps what it learns in its file.
		sentinelLike.args = []string{write(t, t.TempDir(), "sentinel.conf", config), "--sentinel"}
		s.Sentinels = append(s.Sentinels, start(t, sentinelLike))
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

// URL is that of the Sentinels for keystore/redis, without passwords.
func (s *Sentinels) URL() string {
	scheme, query := "redis", ""
	if tls := s.Sentinels[0].tls; tls != nil {
		scheme, query = "rediss", "&ca="+tls.CA+"&cert="+tls.ClientCert+"&key="+tls.ClientKey
	}
	return scheme + "+sentinel://" + s.Sentinels[0].Addr + "/" + MasterName +
		"?addr=" + s.Sentinels[1].Addr + "&addr=" + s.Sentinels[2].Addr + query
}

// Failover kills the master, when the replica has all that was written, and waits until
// that has taken over.
func (s *Sentinels) Failover(t testing.TB) {
	t.Helper()
	killInStep(t, s.Servers[0])
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

// killInStep kills a master when its replica has all that was written.
func killInStep(t testing.TB, master *Server) {
	t.Helper()
	offset := regexp.MustCompile(`offset=(\d+),(?s:.*)master_repl_offset:(\d+)`)
	Until(t, "the replica has what was written", func() bool {
		found := offset.FindStringSubmatch(master.Do(t, "INFO", "replication"))
		return found != nil && found[1] == found[2]
	})
	master.Kill()
}
