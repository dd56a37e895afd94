package otp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/smpp"
)

// TestMain lets a test start this binary as another process of its cluster.
func TestMain(m *testing.M) {
	logging.Disable() // go-redis reports on connections that these tests break
	if strings.HasPrefix(os.Getenv(backendVariable), "postgres ") {
		postgres.outside, _ = newOutside(nil) // ends with the process
	}
	if text := os.Getenv(workerVariable); text != "" {
		if err := runWorker(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const workerVariable = "OTPCOURIER_TEST_WORKER"

var sixDigits = regexp.MustCompile(`\d{6}`)

// ukMobile is the i-th of a million phone numbers.
func ukMobile(i int) string { return fmt.Sprintf("+447912%06d", i) }

// cluster is what the processes of one cluster share.
type cluster struct {
	Where   []string // as for backendAt
	Prefix  string
	SMSCs   []string // their addresses, in the order of the routes "1", "2"…
	Await   time.Duration
	Workers int
	Keys    string // otp.ParseKeyring
}

// newKeys are a new keyring, as a cluster's processes are given it.
func newKeys() string {
	text, err := otp.NewKeyring().MarshalText()
	if err != nil {
		panic(err)
	}
	return string(text)
}

// member is one of a cluster's processes. Its name is its system_id.
type member struct {
	Cluster cluster
	Name    string
}

// service is a Service of the cluster, with clients of its own.
func (c *cluster) service(name string, b backend, change func(*otp.Config)) (svc *otp.Service, closeAll func(),
	err error) {
	receipts := &channel.Receipts{}
	var routes []channel.Route
	var clients []*smpp.Client
	closeAll = func() {
		for _, client := range clients {
			client.Close()
		}
	}
	for i, addr := range c.SMSCs {
		route := fmt.Sprint(i + 1)
		client, err := smpp.New(smpp.Config{Addr: addr, DangerouslyPlaintext: true, SystemID: name, Sender: "MyBank",
			Window: 64, Receipt: receipts.For(route)})
		if err != nil {
			return nil, closeAll, err
		}
		clients = append(clients, client)
		routes = append(routes, channel.Route{Name: route, Channel: client, Address: channel.Phone, Await: c.Await})
	}
	courier, err := failover.New(failover.Config{Router: failover.List(routes...)})
	if err != nil {
		return nil, closeAll, err
	}
	keys, err := otp.ParseKeyring(c.Keys)
	if err != nil {
		return nil, closeAll, err
	}
	cfg := otp.Config{Channel: courier, Store: b, Keys: keys, Wording: wording.Config{Brand: "MyBank"},
		Receipts: receipts,
		Async:    true, Workers: c.Workers, Takeover: 10 * time.Second,
		Policy: otp.Policy{PerRecipient: []otp.Rate{}, MaxAttempts: 10},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if change != nil {
		change(&cfg)
	}
	svc, err = otp.New(cfg)
	return svc, closeAll, err
}

// quiet is for the Service of the test itself.
func quiet(c *otp.Config) { c.Logger = nil }

// runWorker is another process: it works until its standard input ends.
func runWorker(text string) error {
	var m member
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	b, closeBackend, err := backendAt(m.Cluster.Where, m.Cluster.Prefix)
	if err != nil {
		return err
	}
	defer closeBackend()
	svc, closeAll, err := m.Cluster.service(m.Name, b, nil)
	if err != nil {
		return err
	}
	defer closeAll()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := svc.Work(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// A process is a worker that can be killed.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	out   *syncBuffer
	ended sync.Once
	dead  time.Time // when it was killed
}

// start starts a process of the cluster, and ends it with the test.
func (c *cluster) start(t *testing.T, name string) *process {
	t.Helper()
	text, err := json.Marshal(member{*c, name})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: name, cmd: exec.Command(os.Args[0]), out: &syncBuffer{}}
	p.cmd.Env = append(os.Environ(), workerVariable+"="+string(text))
	p.cmd.Stderr = p.out
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.ended.Do(func() {
			p.stdin.Close()
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("process %s: %v", p.name, err)
			}
		})
		if t.Failed() {
			t.Logf("process %s said:\n%s", p.name, p.out)
		}
	})
	return p
}

// kill ends it without a warning.
func (p *process) kill() {
	p.ended.Do(func() {
		p.dead = time.Now()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}
