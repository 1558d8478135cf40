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
	bus   []string
}

// StartCluster starts one, with further arguments for each node.
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	c := new(Cluster)
	for range 3 {
		// The bus has a port of its own: the usual one may be taken, or over the top.
		_, bus, _ := net.SplitHostPort(freeAddr(t))
		c.Nodes = append(c.Nodes, Start(t, append(args, "--cluster-enabled", "yes", "--cluster-port", bus,
			"--cluster-node-timeout", "2000")...))
		c.bus = append(c.bus, bus)
	}
	const slots = 16384
	for i, node := range c.Nodes {
		node.Do(t, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/3), strconv.Itoa((i+1)*slots/3-1))
		host, port, _ := net.SplitHostPort(node.Addr)
		c.Nodes[0].Do(t, "CLUSTER", "MEET", host, port, c.bus[i])
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
