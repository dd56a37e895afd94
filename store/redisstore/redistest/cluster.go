package redistest

import (
	"fmt"
	"strconv"
	"testing"
)

// slots is the number of slots of a Redis Cluster.
const slots = 16384

// A Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	Addrs   []string
	Servers []*Server // the nodes, in the order of Addrs
}

// StartCluster starts a cluster of three masters, which share the slots
// evenly, and ends it with the test. Directives are further lines of each
// redis.conf.
func StartCluster(t testing.TB, directives ...string) *Cluster {
	t.Helper()
	need(t)
	const masters = 3
	c := &Cluster{}
	var buses []int
	for range masters {
		s, bus := startNode(t, directives)
		c.Servers, c.Addrs, buses = append(c.Servers, s), append(c.Addrs, s.Addr), append(buses, bus)
	}
	for i, s := range c.Servers {
		first, last := i*slots/masters, (i+1)*slots/masters-1
		must(t, s, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		must(t, s, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for i, s := range c.Servers[1:] {
		must(t, c.Servers[0], "CLUSTER", "MEET", "127.0.0.1", s.portText(), strconv.Itoa(buses[i+1]))
	}
	for _, s := range c.Servers {
		if err := eventually(func() error { return whole(s.Addr, masters) }); err != nil {
			t.Fatalf("redistest: cluster: %v", err)
		}
	}
	return c
}

// startNode starts a node and returns the port of its bus as well.
func startNode(t testing.TB, directives []string) (s *Server, bus int) {
	t.Helper()
	var err error
	for range tries { // the bus may find its port taken
		if bus, err = freePort(); err != nil {
			break
		}
		own := []string{"cluster-enabled yes", "cluster-node-timeout 2000", fmt.Sprintf("cluster-port %d", bus)}
		if s, err = New(t.TempDir(), append(own, directives...)...); err == nil {
			t.Cleanup(s.Kill)
			return s, bus
		}
	}
	t.Fatal(err)
	return nil, 0
}

// whole returns an error as long as a node does not know its whole cluster.
func whole(addr string, nodes int) error {
	info, err := ask(addr, "CLUSTER", "INFO")
	if err != nil {
		return err
	}
	state, known := field(info, "cluster_state"), field(info, "cluster_size")
	if state != "ok" || known != strconv.Itoa(nodes) {
		return fmt.Errorf("state %s with %s masters", state, known)
	}
	return nil
}

func must(t testing.TB, s *Server, command ...string) {
	t.Helper()
	if _, err := ask(s.Addr, command...); err != nil {
		t.Fatalf("redistest: %s %s: %v", command[0], command[1], err)
	}
}
