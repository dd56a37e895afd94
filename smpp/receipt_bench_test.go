package smpp_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
)

// BenchmarkReceipts is a receipt over loopback TCP, from the SMSC's write to the
// client's answer, with up to 1000 on their way and a handler that takes a time.
func BenchmarkReceipts(b *testing.B) {
	for _, takes := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		b.Run(fmt.Sprintf("handler=%v", takes), func(b *testing.B) { benchmarkReceipts(b, takes) })
	}
}

func benchmarkReceipts(b *testing.B, takes time.Duration) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c := newClient(b, smpp.Config{
		Addr: l.Addr().String(), DangerouslyPlaintext: true,
		Receipt: func(context.Context, channel.Receipt) error {
			if takes > 0 {
				time.Sleep(takes)
			}
			return nil
		},
	})
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	p := &peer{peertest.New(conn)}
	p.bind()
	ready(b, c)
	window := make(chan struct{}, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f, ok := p.Await(pdu.DeliverSmRespID); ok; f, ok = p.Await(pdu.DeliverSmRespID) {
			<-window
			if f.Status != 0 {
				b.Errorf("answered with %#x", f.Status)
			}
		}
	}()
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i++
		window <- struct{}{}
		_, _ = p.Write(stating(i, fmt.Sprint("m", i), "DELIVRD"))
	}
	for len(window) > 0 {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "receipts/s")
	_ = conn.Close()
	<-done
}
