package redistest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A Sentinel is a master with a replica, watched by three Sentinels. If a server is
// silent for a second, the Sentinels count it as dead.
type Sentinel struct {
	Name    string    // of the master
	Addrs   []string  // of the Sentinels
	Servers []*Server // the first master and its replica
}

// StartSentinel starts them, and ends them with the test. Directives are
// further lines of the redis.conf of master and replica.
func StartSentinel(t testing.TB, directives ...string) *Sentinel {
	t.Helper()
	directives = append([]string{"repl-diskless-sync-delay 0"}, directives...)
	master := Start(t, directives...)
	replica := Start(t, append(directives, "replicaof 127.0.0.1 "+master.portText())...)
	s := &Sentinel{Name: "otp", Servers: []*Server{master, replica}}
	const sentinels = 3
	for range sentinels {
		watcher, err := start(t.TempDir(), []string{"--sentinel"},
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", s.Name, master.port),
			"sentinel down-after-milliseconds "+s.Name+" 1000",
			"sentinel failover-timeout "+s.Name+" 5000")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(watcher.Kill)
		s.Addrs = append(s.Addrs, watcher.Addr)
	}
	err := eventually(func() error {
		// The replica is connected a moment before writes reach it.
		info, err := ask(master.Addr, "INFO", "replication")
		if err == nil && !strings.Contains(field(info, "slave0"), "state=online") {
			err = errors.New("the replica does not follow")
		}
		return err
	})
	for _, addr := range s.Addrs {
		if err == nil {
			err = eventually(func() error { return s.watched(addr, sentinels) })
		}
	}
	if err != nil {
		t.Fatalf("redistest: sentinel: %v", err)
	}
	return s
}

// watched returns an error as long as a Sentinel does not know all of them.
func (s *Sentinel) watched(addr string, sentinels int) error {
	info, err := ask(addr, "INFO", "sentinel")
	if err != nil {
		return err
	}
	want := fmt.Sprintf("status=ok,address=%s,slaves=%d,sentinels=%d", s.Servers[0].Addr, len(s.Servers)-1, sentinels)
	if got := field(info, "master0"); !strings.HasSuffix(got, want) {
		return fmt.Errorf("%s, want %s", got, want)
	}
	return nil
}

// Master returns the present master, by the Sentinels.
func (s *Sentinel) Master() (*Server, error) {
	var err error
	for _, addr := range s.Addrs {
		var master string
		if master, err = ask(addr, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Name); err != nil {
			continue
		}
		for _, server := range s.Servers {
			if strings.Replace(master, "\n", ":", 1) == server.Addr {
				return server, nil
			}
		}
		err = fmt.Errorf("redistest: a Sentinel names %q as master", master)
	}
	return nil, err
}
