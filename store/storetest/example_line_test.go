package storetest_test

import (
	"context"
	"net"
	"testing"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// dial connects to a server, as the option Dialer of go-redis or DialFunc of pgx does.
type dial func(ctx context.Context, network, addr string) (net.Conn, error)

// openQueue stands for a queue of one's own that is reached over a network.
func openQueue(dial) store.Queue { return memstore.New(memstore.Config{}) }

// The cases kill a worker, or stop it for a while, by the Line of its process.
func ExampleLine() {
	TestQueue := func(t *testing.T) {
		storetest.Run(t, storetest.Harness{
			Queue: func(*testing.T) store.Queue { return openQueue((&net.Dialer{}).DialContext) },
			Process: func(*testing.T, store.Queue) storetest.Process {
				line := &storetest.Line{}
				return storetest.Process{Queue: openQueue(line.Dial), Stop: line.Stop, Resume: line.Resume}
			},
		})
	}
	_ = TestQueue
}
