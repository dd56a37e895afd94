package redistest

import (
	"fmt"
	"os"
	"path/filepath"
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
	c, err := NewCluster(t.TempDir(), directives...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c
}

// NewCluster is StartCluster for programs other than tests. The servers keep their files below
// dir, and the caller must Kill the cluster.
func NewCluster(dir string, directives ...string) (*Cluster, error) {
	const masters = 3
	c := &Cluster{}
	err := c.start(dir, masters, directives)
	for _, s := range c.Servers {
		if err == nil {
			err = eventually(func() error { return whole(s.Addr, masters) })
		}
	}
	if err != nil {
		c.Kill()
		return nil, fmt.Errorf("redistest: cluster: %w", err)
	}
	return c, nil
}

// Kill ends all servers at once (SIGKILL) and returns when they have.
func (c *Cluster) Kill() {
	for _, s := range c.Servers {
		s.Kill()
	}
}

// start starts the masters, gives each its slots, and has the first meet the others.
func (c *Cluster) start(dir string, masters int, directives []string) error {
	for i := range masters {
		s, bus, err := startNode(filepath.Join(dir, strconv.Itoa(i)), directives)
		if err != nil {
			return err
		}
		c.Servers, c.Addrs = append(c.Servers, s), append(c.Addrs, s.Addr)
		commands := [][]string{
			{"CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i * slots / masters), strconv.Itoa((i+1)*slots/masters - 1)},
			{"CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i + 1)},
		}
		for _, command := range commands {
			if _, err := ask(s.Addr, command...); err != nil {
				return err
			}
		}
		if i == 0 {
			continue
		}
		if _, err := ask(c.Addrs[0], "CLUSTER", "MEET", "127.0.0.1", s.portText(), strconv.Itoa(bus)); err != nil {
			return err
		}
	}
	return nil
}

// startNode starts a node and returns the port of its bus as well.
func startNode(dir string, directives []string) (s *Server, bus int, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, 0, err
	}
	for range tries { // the bus may find its port taken
		if bus, err = freePort(); err != nil {
			break
		}
		own := []string{"cluster-enabled yes", "cluster-node-timeout 2000", fmt.Sprintf("cluster-port %d", bus)}
		if s, err = New(dir, append(own, directives...)...); err == nil {
			return s, bus, nil
		}
	}
	return nil, 0, err
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
