package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// An SMSC far away, and what the client has outstanding with it on a bind.
const (
	answersAfter = 20 * time.Millisecond
	window       = 10
)

// measureBinds: one SMPP account with several binds.
func measureBinds(b *bench) ([]table, error) {
	t := table{
		title: fmt.Sprintf("**SMPP binds** to an SMSC in the same process that answers after %v, window %d, as many "+
			"goroutines as the windows have room for. The bound is that of the answers. CPU is that of both ends.",
			answersAfter, window),
		heads: []string{"binds", "messages/s", "of the bound", "p99 of Send, ms", "CPU of a message, µs",
			"octets of a bind, both ends", "SHA-256, million/s"},
	}
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
		machine := speed()
		f, each, err := b.binds(n)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			b.found.bind = f.rate
		}
		bound := float64(n*window) / answersAfter.Seconds()
		t.add(n, thousands(f.rate), fmt.Sprintf("%.2f", f.rate/bound), millis(f.p99), micros(f.cpu.all()),
			thousands(each), machine)
	}
	return []table{t}, nil
}

func (b *bench) binds(n int) (f figure, octets int64, err error) {
	empty := heap()
	smsc := smpptest.NewServer(smpptest.Config{Forget: true, Handler: func(smpptest.Submit) smpptest.Reply {
		return smpptest.Reply{Delay: answersAfter}
	}})
	defer smsc.Close()
	client, err := smpp.New(smpp.Config{
		Addr: smsc.Addr, SystemID: "bench", Password: "secret", Binds: n, Window: window, DangerouslyPlaintext: true,
	})
	if err != nil {
		return f, 0, err
	}
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	defer func() { _ = client.Shutdown(ctx) }()
	send := func(int) error {
		now := time.Now()
		_, err := client.Send(ctx, &channel.Message{
			ID: "k3v9.1", To: channel.Recipient{Phone: "+447911123456"}, Sender: "Courier",
			Text: "482910 is your code. Keep it, do not share it", Created: now, Expires: now.Add(5 * time.Minute),
		})
		return err
	}
	if err = client.Ready(ctx); err == nil {
		err = inAll(n*window, 4*n*window, send) // until all binds stand
	}
	if err != nil {
		return f, 0, err
	}
	octets = (int64(heap()) - int64(empty)) / int64(n)
	f, err = measure(n*window, math.MaxInt, b.each, send)
	return f, octets, err
}
