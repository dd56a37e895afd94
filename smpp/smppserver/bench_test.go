package smppserver_test

import (
	"context"
	"net"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// BenchmarkSubmit is a submit_sm and its response, over loopback TCP with a window of
// 50. The ESME only writes octets that are ready, so the figures are the server's.
func BenchmarkSubmit(b *testing.B) {
	for name, change := range map[string]func(*smppserver.Config){
		"handler": func(*smppserver.Config) {},
		"async": func(c *smppserver.Config) {
			c.Handler, c.AsyncHandler = nil, func(_ context.Context, _ *smppserver.Submit, answer func(string, error)) {
				answer("m1", nil)
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			c := serverConfig()
			change(&c)
			s := startServer(b, c)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go func() { _ = s.Serve(l) }() // the server is closed with the benchmark
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			e := &esme{b, peertest.New(conn)}
			if got := e.bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
				b.Fatal(got)
			}
			const window = 50
			var burst []byte
			for seq := range uint32(window) {
				burst = append(burst, submitFrame(seq+1, nil)...)
			}
			b.ReportAllocs()
			for n := 0; n < b.N; n += window {
				e.Write(burst)
				for range window {
					if f := e.Next(); f.Status != 0 {
						b.Fatalf("answered with %+v", f.Header)
					}
				}
			}
		})
	}
}
