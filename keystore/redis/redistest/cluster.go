package redistest

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

// Cluster is three masters, with a third of the slots each.
type Cluster struct {
	Nodes []*Server
}

// nodeTimeout is how many milliseconds a node may be silent, also on a loaded machine.
const nodeTimeout = "2000"

// StartCluster starts one, with further arguments for each node.
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	c := new(Cluster)
	const slots = 16384
	for i := range 3 {
		node := c.start(t, args)
		node.Do(t, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/3), strconv.Itoa((i+1)*slots/3-1))
		c.Nodes = append(c.Nodes, node)
	}
	for _, node := range c.Nodes {
		Until(t, "the nodes know each other", func() bool {
			info := node.Do(t, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") &&
				strings.Contains(info, "cluster_slots_ok:16384")
		})
	}
	return c
}

// start starts a node, and makes it known to the first one.
func (c *Cluster) start(t testing.TB, args []string) *Server {
	t.Helper()
	// The bus has a port of its own: the usual one may be taken, or over the top.
	_, bus, _ := net.SplitHostPort(freeAddr(t))
	node := Start(t, append(args, "--cluster-enabled", "yes", "--cluster-port", bus,
		"--cluster-node-timeout", nodeTimeout)...)
	if len(c.Nodes) > 0 {
		host, port, _ := net.SplitHostPort(node.Addr)
		c.Nodes[0].Do(t, "CLUSTER", "MEET", host, port, bus)
	}
	return node
}

// AddReplica starts a replica of a node, which takes its place when that fails.
func (c *Cluster) AddReplica(t testing.TB, of *Server) *Server {
	t.Helper()
	replica, id := c.start(t, nil), of.Do(t, "CLUSTER", "MYID")
	Until(t, "the replica knows its master", func() bool {
		_, err := replica.Try("CLUSTER", "REPLICATE", id)
		return err == nil
	})
	Until(t, "the replica is in step", func() bool {
		return strings.Contains(of.Do(t, "INFO", "replication"), "state=online")
	})
	for _, node := range c.Nodes {
		Until(t, "the nodes know the replica", func() bool {
			return strings.Contains(node.Do(t, "CLUSTER", "NODES"), "slave "+id)
		})
	}
	return replica
}

// Fail kills a node, and waits until its replica has taken its place. In between it calls
// during.
func (c *Cluster) Fail(t testing.TB, node, replica *Server, during func()) {
	t.Helper()
	alive := []*Server{replica}
	for _, other := range c.Nodes {
		if other != node {
			alive = append(alive, other)
		}
	}
	patientFor := func(milliseconds string) {
		for _, node := range alive {
			node.Do(t, "CONFIG", "SET", "cluster-node-timeout", milliseconds)
		}
	}
	patientFor("500")
	killInStep(t, node)
	during()
	Until(t, "the replica takes over", func() bool { return strings.HasPrefix(replica.Do(t, "ROLE"), "master") })
	patientFor(nodeTimeout)
	for _, node := range alive {
		Until(t, "all slots have a node again", func() bool {
			return strings.Contains(node.Do(t, "CLUSTER", "INFO"), "cluster_state:ok")
		})
	}
}

// URL is that of the Cluster for keystore/redis.
func (c *Cluster) URL() string {
	return "redis+cluster://" + c.Nodes[0].Addr + "?addr=" + c.Nodes[1].Addr
}

// Node returns the node that has a key, and its number.
func (c *Cluster) Node(t testing.TB, key string) (*Server, int) {
	t.Helper()
	slot, err := strconv.Atoi(c.Nodes[0].Do(t, "CLUSTER", "KEYSLOT", key))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Nodes[0].Try("EXISTS", key)
	if err == nil {
		return c.Nodes[0], slot
	}
	for _, node := range c.Nodes[1:] {
		if strings.HasSuffix(err.Error(), " "+node.Addr) {
			return node, slot
		}
	}
	t.Fatal(err)
	return nil, 0
}

// Move moves a key, and its slot, to another node. In between, when the key has moved and
// the slot has not, it calls during.
func (c *Cluster) Move(t testing.TB, key string, during func()) {
	t.Helper()
	from, slot := c.Node(t, key)
	to := c.Nodes[0]
	if from == to {
		to = c.Nodes[1]
	}
	fromID, toID := from.Do(t, "CLUSTER", "MYID"), to.Do(t, "CLUSTER", "MYID")
	number := strconv.Itoa(slot)
	host, port, _ := net.SplitHostPort(to.Addr)
	to.Do(t, "CLUSTER", "SETSLOT", number, "IMPORTING", fromID)
	from.Do(t, "CLUSTER", "SETSLOT", number, "MIGRATING", toID)
	from.Do(t, "MIGRATE", host, port, key, "0", "5000")
	during()
	for _, node := range append([]*Server{to}, c.Nodes...) {
		node.Do(t, "CLUSTER", "SETSLOT", number, "NODE", toID)
	}
}
