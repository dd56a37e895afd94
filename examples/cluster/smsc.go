package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A carrier shows the messages that it delivers. A phone whose number ends in
// 99 is switched off: its messages stay with the carrier, without a receipt.
type carrier struct {
	addr   string
	server *smppserver.Server
	ended  sync.WaitGroup
}

// open starts a carrier, which shows its messages to the given function.
func open(ctx context.Context, addr string, show func(*channel.Message)) (*carrier, error) {
	deliver := channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		show(m)
		if strings.HasSuffix(m.To.Phone, "99") {
			return channel.Submission{State: channel.Sent}, nil
		}
		return channel.Submission{State: channel.Delivered}, nil
	})
	server, err := smppserver.New(smppserver.Config{
		Authenticate:         func(context.Context, smppserver.BindRequest) smpp.Status { return smpp.StatusOK },
		Handler:              smppserver.ChannelHandler(deliver),
		Assemble:             true,
		DangerouslyPlaintext: true, // within one machine
	})
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &carrier{addr: l.Addr().String(), server: server}
	c.ended.Go(func() { _ = server.Serve(l) }) // until close
	return c, nil
}

func (c *carrier) close() {
	_ = c.server.Close() // it keeps nothing
	c.ended.Wait()
}

// smsc is a carrier for trying the cluster by hand.
func smsc(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("cluster smsc", flag.ContinueOnError)
	f.SetOutput(out)
	addr := f.String("listen", "127.0.0.1:2775", "`address` for SMPP")
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := open(ctx, *addr, func(m *channel.Message) {
		fmt.Fprintf(out, "%s: %s\n", m.To.Phone, m.Text) // a phone's screen, not a log
	})
	if err != nil {
		return err
	}
	defer c.close()
	fmt.Fprintf(out, "the SMSC listens on %s\n", c.addr)
	<-ctx.Done()
	return nil
}
