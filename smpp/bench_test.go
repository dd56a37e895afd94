package smpp_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// BenchmarkSend is a message from Send to its response, over loopback TCP.
// Client and server run in one process: figures are for both.
func BenchmarkSend(b *testing.B) {
	for _, window := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			s := newServer(b, smpptest.Config{Forget: true})
			config := plain(s)
			config.Window = window
			c := newClient(b, config)
			ready(b, c)
			b.ReportAllocs()
			next := make(chan struct{}, 1024)
			var wg sync.WaitGroup
			for range window {
				m := message(ann, "482910 is your code. It is valid for 5 minutes. Do not share it.")
				wg.Go(func() { sendEach(b, c, m, next) })
			}
			for b.Loop() {
				next <- struct{}{}
			}
			close(next)
			wg.Wait()
		})
	}
}

func sendEach(b *testing.B, c channel.Channel, m *channel.Message, next <-chan struct{}) {
	for range next {
		if _, err := c.Send(context.Background(), m); err != nil {
			b.Error(err)
		}
	}
}
