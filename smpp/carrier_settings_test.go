package smpp_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestBindNamesTheAddressRange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []wire.Addr
		config := peers(t, func(p *peer, _ int) {
			f := p.Next()
			got = append(got, wire.BindRange(f.Body))
			_, _ = p.Write(wire.AppendID(nil, f.Response(), 0, f.Seq, "smsc"))
			p.Drain()
		})
		config.AddressRange, config.BindNumbering = "^4477", smpp.Numbering{TON: 1, NPI: 1}
		ready(t, newClient(t, config))
		if diff := cmp.Diff([]wire.Addr{{TON: 1, NPI: 1, Digits: "^4477"}}, got); diff != "" {
			t.Errorf("ranges (-want +got):\n%s", diff)
		}
	})
}

// submittedAs is the submit_sm that a client with a configuration makes of a message.
func submittedAs(t *testing.T, m *channel.Message, edit func(*smpp.Config)) *wire.Message {
	t.Helper()
	got := make(chan *wire.Message, 1)
	config := peers(t, func(p *peer, _ int) {
		p.bind()
		f, _ := p.Await(pdu.SubmitSmID)
		m, err := wire.DecodeMessage(f.Body)
		if err != nil {
			t.Error(err)
		}
		got <- m
		_, _ = p.Write(accept(f, "m1"))
		p.Drain()
	})
	edit(&config)
	if _, err := newClient(t, config).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return <-got
}

func TestDestinationForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format    smpp.DestFormat
		national  smpp.National
		numbering *smpp.Numbering
		to        string
		want      wire.Addr
	}{
		{smpp.DestDigits, smpp.National{}, nil, ann, wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"}},
		{smpp.DestPlus, smpp.National{}, nil, ann, wire.Addr{TON: 1, NPI: 1, Digits: "+447911123456"}},
		{smpp.DestZeros, smpp.National{}, nil, ann, wire.Addr{TON: 1, NPI: 1, Digits: "00447911123456"}},
		{smpp.DestZeros, smpp.National{}, &smpp.Numbering{}, "+123456789012345",
			wire.Addr{Digits: "00123456789012345"}},
		{smpp.DestNational, smpp.National{Country: "+44", Trunk: "0"}, nil, ann,
			wire.Addr{TON: 2, NPI: 1, Digits: "07911123456"}},
		{smpp.DestNational, smpp.National{Country: "+44"}, nil, ann, wire.Addr{TON: 2, NPI: 1, Digits: "7911123456"}},
		{smpp.DestNational, smpp.National{Country: "+44", Trunk: "0"}, nil, "+12025550123",
			wire.Addr{TON: 1, NPI: 1, Digits: "12025550123"}},
		{smpp.DestNational, smpp.National{Country: "+44", Trunk: "0"}, &smpp.Numbering{TON: 0, NPI: 1}, ann,
			wire.Addr{TON: 0, NPI: 1, Digits: "07911123456"}},
	} {
		got := submittedAs(t, message(tt.to, "482910"), func(c *smpp.Config) {
			c.DestFormat, c.National, c.DestNumbering = tt.format, tt.national, tt.numbering
		})
		if got.Dest != tt.want {
			t.Errorf("%v: destination is %+v, want %+v", tt.format, got.Dest, tt.want)
		}
	}
}

func TestNumberingOfShortCodesAndNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sender string
		want   wire.Addr
	}{
		{"12345", wire.Addr{TON: 6, NPI: 9, Digits: "12345"}},
		{"MyBank", wire.Addr{TON: 5, NPI: 8, Digits: "MyBank"}},
		{"+12025550123", wire.Addr{TON: 2, NPI: 3, Digits: "12025550123"}},
	} {
		got := submittedAs(t, message(ann, "482910"), func(c *smpp.Config) {
			c.Sender = tt.sender
			c.SenderNumbering = &smpp.Numbering{TON: 2, NPI: 3}
			c.ShortCodeNumbering = &smpp.Numbering{TON: 6, NPI: 9}
			c.AlphaNumbering = &smpp.Numbering{TON: 5, NPI: 8}
		})
		if got.Source != tt.want {
			t.Errorf("source is %+v, want %+v", got.Source, tt.want)
		}
	}
}

func TestValidityForms(t *testing.T) {
	t.Parallel()
	for form, want := range map[smpp.Validity]string{
		smpp.ValidityRelative: "000000000500000R", smpp.ValidityAbsolute: "000101000500000+", smpp.ValidityNone: "",
	} {
		synctest.Test(t, func(t *testing.T) { // from 2000-01-01 00:00 UTC
			m := message(ann, "482910")
			m.Expires = time.Now().Add(5 * time.Minute)
			got := submittedAs(t, m, func(c *smpp.Config) { c.Validity = form })
			if got.Validity != want {
				t.Errorf("form %d: validity_period is %q, want %q", form, got.Validity, want)
			}
		})
	}
}

// A standby is bound while the primaries are gone, and no longer.
func TestStandby(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hosts := map[string]*smpptest.Server{}
		var mu sync.Mutex
		down := map[string]bool{}
		for _, addr := range []string{"a.example:2775", "b.example:2775", "c.example:2775"} {
			hosts[addr] = smpptest.NewPipeServer(smpptest.Config{})
			t.Cleanup(hosts[addr].Close)
		}
		c := newClient(t, smpp.Config{
			Addr: "a.example:2775", Addrs: []string{"b.example:2775"}, StandbyAddrs: []string{"c.example:2775"},
			DangerouslyPlaintext: true, MaxSession: time.Hour,
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				if down[addr] {
					return nil, fmt.Errorf("%s is down", addr)
				}
				return hosts[addr].Dial(ctx, network, addr)
			},
		})
		set := func(is bool, addrs ...string) {
			mu.Lock()
			defer mu.Unlock()
			for _, addr := range addrs {
				if down[addr] = is; is {
					hosts[addr].Disconnect()
				}
			}
		}
		submits := func(addr string) int { return len(hosts[addr].Submits()) }
		sends(t, c, 3*3600) // sessions are replaced, too
		if n := len(hosts["c.example:2775"].Binds()); n != 0 {
			t.Errorf("the standby was bound %d times while the primaries stood", n)
		}
		set(true, "a.example:2775")
		synctest.Wait()
		sends(t, c, 60)
		if n := len(hosts["c.example:2775"].Binds()); n != 0 {
			t.Errorf("the standby was bound %d times while one primary stood", n)
		}
		set(true, "b.example:2775")
		synctest.Wait()
		sends(t, c, 60)
		if n := submits("c.example:2775"); n != 60 {
			t.Errorf("%d messages went over the standby, want 60", n)
		}
		st := c.State().Sessions
		if len(st) != 4 || st[0].Bound || !st[2].Bound || !st[2].Standby || st[1].Standby {
			t.Errorf("state is %+v", st)
		}
		before := submits("c.example:2775")
		set(false, "a.example:2775")
		time.Sleep(50 * time.Second)
		sends(t, c, 60)
		if n := submits("c.example:2775") - before; n != 0 {
			t.Errorf("%d messages went over the standby though a primary stands", n)
		}
		if n := hosts["c.example:2775"].Connections(); n != 0 {
			t.Errorf("%d connections to the standby are left", n)
		}
	})
}

// A receiver may have an address of its own.
func TestReceiverAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		kinds := map[string]pdu.CommandID{}
		config := peers(t, func(p *peer, _ int) { p.serve() })
		dial := config.Dial
		config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return sniffer{conn, func(id pdu.CommandID) {
				mu.Lock()
				defer mu.Unlock()
				if _, ok := kinds[addr]; !ok {
					kinds[addr] = id
				}
			}}, err
		}
		config.Pair, config.ReceiverAddr = true, "rx.example:2776"
		c := newClient(t, config)
		sends(t, c, 1)
		want := map[string]pdu.CommandID{
			"smsc.example:2775": pdu.BindTransmitterID, "rx.example:2776": pdu.BindReceiverID,
		}
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("binds (-want +got):\n%s", diff)
		}
		if st := c.State().Sessions; st[1].Addr != "rx.example:2776" {
			t.Errorf("state is %+v", st)
		}
	})
}

// A sniffer tells the command of each write.
type sniffer struct {
	net.Conn
	tell func(pdu.CommandID)
}

func (s sniffer) Write(b []byte) (int, error) {
	s.tell(pdu.CommandID(uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])))
	return s.Conn.Write(b)
}

// Binds are spread over all addresses of a name, and one that is dead costs nothing.
func TestAllAddressesOfAName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		dials := map[string]int{}
		config := peers(t, func(p *peer, _ int) { p.serve() })
		dial := config.Dial
		config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			dials[addr]++
			mu.Unlock()
			if strings.HasPrefix(addr, "192.0.2.2:") {
				return nil, fmt.Errorf("%s is down", addr)
			}
			return dial(ctx, network, addr)
		}
		config.AllAddresses, config.Binds = true, 4
		smpp.SetLookupHost(&config, func(_ context.Context, host string) ([]string, error) {
			if host != "smsc.example" {
				t.Errorf("looked up %s", host)
			}
			return []string{"192.0.2.3", "2001:db8::1", "192.0.2.1", "192.0.2.2"}, nil
		})
		c := newClient(t, config)
		time.Sleep(10 * time.Second)
		for i, v := range c.State().Sessions {
			if !v.Bound || v.Addr != "smsc.example:2775" {
				t.Errorf("bind %d is %+v", i, v)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		want := map[string]int{"192.0.2.1:2775": 1, "192.0.2.2:2775": 1, "192.0.2.3:2775": 2, "[2001:db8::1]:2775": 1}
		if diff := cmp.Diff(want, dials); diff != "" {
			t.Errorf("connections (-want +got):\n%s", diff)
		}
	})
}
