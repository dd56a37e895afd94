package smpp_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// TestReceiptPlans runs every plan of smpptest against the client.
func TestReceiptPlans(t *testing.T) {
	t.Parallel()
	delivered := channel.Receipt{ProviderID: "m1", State: channel.Delivered, Code: "DELIVRD err:000"}
	failed := func(class channel.Class, code string) channel.Receipt {
		return channel.Receipt{ProviderID: "m1", State: channel.Failed, Class: class, Code: code}
	}
	sent := func(code string) channel.Receipt {
		return channel.Receipt{ProviderID: "m1", State: channel.Sent, Code: code}
	}
	for name, tt := range map[string]struct {
		plan  smpptest.Receipt
		want  []channel.Receipt
		after time.Duration
	}{
		"at once":   {smpptest.Receipt{}, []channel.Receipt{delivered}, 0},
		"late":      {smpptest.Receipt{Delay: time.Hour}, []channel.Receipt{delivered}, time.Hour},
		"twice":     {smpptest.Receipt{Copies: 2}, []channel.Receipt{delivered, delivered}, 0},
		"early":     {smpptest.Receipt{Early: true}, []channel.Receipt{delivered}, 0},
		"never":     {smpptest.Receipt{None: true}, nil, 0},
		"text only": {smpptest.Receipt{TextOnly: true}, []channel.Receipt{delivered}, 0},
		"data_sm":   {smpptest.Receipt{DataSM: true}, []channel.Receipt{delivered}, 0},
		"undelivered": {smpptest.Receipt{Stat: "UNDELIV", Err: "001"},
			[]channel.Receipt{failed(channel.Unreachable, "UNDELIV err:001")}, 0},
		"rejected": {smpptest.Receipt{Stat: "REJECTD"},
			[]channel.Receipt{failed(channel.Unreachable, "REJECTD err:000")}, 0},
		"expired": {smpptest.Receipt{Stat: "EXPIRED"},
			[]channel.Receipt{failed(channel.Unreachable, "EXPIRED err:000")}, 0},
		"deleted": {smpptest.Receipt{Stat: "DELETED"},
			[]channel.Receipt{failed(channel.Unreachable, "DELETED err:000")}, 0},
		"unknown": {smpptest.Receipt{Stat: "UNKNOWN"},
			[]channel.Receipt{failed(channel.Unknown, "UNKNOWN err:000")}, 0},
		"accepted":   {smpptest.Receipt{Stat: "ACCEPTD"}, []channel.Receipt{sent("ACCEPTD err:000")}, 0},
		"en route":   {smpptest.Receipt{Stat: "ENROUTE"}, []channel.Receipt{sent("ENROUTE err:000")}, 0},
		"other word": {smpptest.Receipt{Stat: "BUFFERED"}, []channel.Receipt{sent("BUFFERED err:000")}, 0},
		"TLVs only": {smpptest.Receipt{TLVOnly: true},
			[]channel.Receipt{{ProviderID: "m1", State: channel.Delivered, Code: "DELIVRD"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := newReceipts()
				s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Receipt = got.handle })
				s.On(ann, smpptest.Reply{Receipt: tt.plan})
				if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.after)
				synctest.Wait()
				if diff := cmp.Diff(tt.want, got.got, cmpopts.IgnoreFields(channel.Receipt{}, "At")); diff != "" {
					t.Errorf("receipts (-want +got):\n%s", diff)
				}
				for _, r := range got.got {
					if !r.At.Equal(time.Now()) {
						t.Errorf("receipt came at %v, says %v", time.Now(), r.At)
					}
				}
				want := make([]smpp.Status, len(tt.want))
				if diff := cmp.Diff(want, s.Answers(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("answers (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What the receiver cannot store, the SMSC is to repeat.
func TestReceiptIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := newReceipts()
		got.fail(channel.ErrNotAttached)
		s, c := newPipe(t, smpptest.Config{Redeliver: time.Minute}, func(c *smpp.Config) { c.Receipt = got.handle })
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got.fail(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []smpp.Status{smpp.StatusReceiverTemporary, smpp.StatusOK}
		if diff := cmp.Diff(want, s.Answers()); diff != "" || len(got.got) != 2 {
			t.Errorf("%d receipts, answers (-want +got):\n%s", len(got.got), diff)
		}
	})
}

// A receiver that hangs holds up neither messages nor enquire_link, and the
// SMSC is told to come back when too much waits for it.
func TestReceiverHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Window = 100
			c.Receipt = func(ctx context.Context, _ channel.Receipt) error {
				<-ctx.Done()
				return ctx.Err()
			}
		})
		for i := range 1100 {
			if _, err := c.Send(t.Context(), message(numbered(i), "482910")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		refused := len(s.Answers())
		if refused < 1100-1024-1 || refused > 1100-1024 {
			t.Errorf("%d answers at once", refused)
		}
		for _, status := range s.Answers() {
			if status != smpp.StatusReceiverTemporary {
				t.Errorf("answered with %v", status)
			}
		}
		time.Sleep(time.Hour) // in which each waits ResponseTimeout
		synctest.Wait()
		if n := len(s.Binds()); n != 1 {
			t.Errorf("%d binds, want 1", n)
		}
	})
}

// A receipt that was read is handed over although its connection is gone.
func TestReceiptsOutliveConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var handled atomic.Int32
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Receipt = func(context.Context, channel.Receipt) error {
				time.Sleep(time.Second)
				handled.Add(1)
				return nil
			}
		})
		for i := range 5 {
			if _, err := c.Send(t.Context(), message(numbered(i), "482910")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		s.Disconnect()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := handled.Load(); n != 5 {
			t.Errorf("%d receipts handed over, want 5", n)
		}
	})
}

// A receiver that hangs keeps only the sessions that ended last: what came over
// the others comes again.
func TestReceiverHangsOverSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var binds, running, most atomic.Int32
		config := peers(t, func(p *peer, _ int) {
			binds.Add(1)
			p.bind()
			for i := range 100 {
				_, _ = p.Write(deliver(uint32(i+1), "m1"))
			}
		})
		config.ResponseTimeout = time.Minute
		config.ReconnectMin, config.ReconnectMax = 30*time.Second, 30*time.Second
		config.Receipt = func(ctx context.Context, _ channel.Receipt) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-ctx.Done()
			return ctx.Err()
		}
		newClient(t, config)
		time.Sleep(2 * time.Hour)
		if n := binds.Load(); n < 100 {
			t.Errorf("only %d sessions", n)
		}
		if n := most.Load(); n > 8 { // 2 min at 15 s or more
			t.Errorf("%d sessions wait for the receiver at once", n)
		}
	})
}

func TestIDFormats(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		submitted, receipted smpp.IDFormat
		response, receipt    string
		same                 bool
	}{
		{smpp.IDText, smpp.IDText, "abc-123", "abc-123", true},
		{smpp.IDText, smpp.IDText, "abc-123 ", "abc-123", true},
		{smpp.IDText, smpp.IDText, "00A1", "A1", false},
		{smpp.IDHex, smpp.IDDecimal, "1A2B3C4D", "0439041101", true},
		{smpp.IDHex, smpp.IDDecimal, "0x1a2b3c4d", "439041101", true},
		{smpp.IDDecimal, smpp.IDHex, "439041101", "1a2b3c4d", true},
		{smpp.IDHex, smpp.IDHex, "00ff", "FF", true},
		{smpp.IDHex, smpp.IDDecimal, "ffffffffffffffffffff", "1208925819614629174706175", true},
		{smpp.IDHex, smpp.IDHex, "not-hex", "not-hex", true},
		{smpp.IDDecimal, smpp.IDDecimal, "-1", "-1", true},
	} {
		s := newServer(t, smpptest.Config{})
		got := newReceipts()
		config := plain(s)
		config.SubmitIDs, config.ReceiptIDs, config.Receipt = tt.submitted, tt.receipted, got.handle
		c := newClient(t, config)
		s.On(ann, smpptest.Reply{ID: tt.response, Receipt: smpptest.Receipt{ID: tt.receipt}})
		sub, err := c.Send(t.Context(), message(ann, "482910"))
		if err != nil {
			t.Fatal(err)
		}
		if r := got.wait(t, 1)[0]; (r.ProviderID == sub.ProviderIDs[0]) != tt.same {
			t.Errorf("%q and %q are %q and %q", tt.response, tt.receipt, sub.ProviderIDs[0], r.ProviderID)
		}
	}
}

// TestReceiptForms sends receipts as they are met in the field.
func TestReceiptForms(t *testing.T) {
	t.Parallel()
	tlvs := func(id string, state ...byte) wire.TLVs {
		return wire.TLVs{}.Append(pdu.TagReceiptedMessageID, []byte(id)).Append(pdu.TagMessageState, state)
	}
	for _, tt := range []struct {
		name string
		m    wire.Message
		want *channel.Receipt // nil: not taken for a receipt
	}{
		{"state of the TLV before the text's", wire.Message{
			EsmClass: 4, Short: []byte("id:2 stat:UNDELIV err:001"), TLVs: tlvs("1\x00", 2),
		}, &channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD err:001"}},
		{"id without a NUL", wire.Message{EsmClass: 4, TLVs: tlvs("abc", 2)},
			&channel.Receipt{ProviderID: "abc", State: channel.Delivered, Code: "DELIVRD"}},
		{"state of a wrong length", wire.Message{EsmClass: 4, Short: []byte("stat:DELIVRD"), TLVs: tlvs("1", 0, 2)},
			&channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"unknown state", wire.Message{EsmClass: 4, Short: []byte("stat:DELIVRD"), TLVs: tlvs("1", 99)},
			&channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"network_error_code", wire.Message{
			EsmClass: 4, TLVs: tlvs("1", 5).Append(pdu.TagNetworkErrorCode, []byte{3, 0, 27}),
		}, &channel.Receipt{ProviderID: "1", State: channel.Failed, Class: channel.Unreachable,
			Code: "UNDELIV net:3/27"}},
		{"intermediate notification", wire.Message{EsmClass: 0x20, Short: []byte("id:1 stat:ENROUTE")},
			&channel.Receipt{ProviderID: "1", State: channel.Sent, Code: "ENROUTE"}},
		{"intermediate failure", wire.Message{EsmClass: 0x20, Short: []byte("id:1 stat:UNDELIV err:027")},
			&channel.Receipt{ProviderID: "1", State: channel.Sent, Code: "UNDELIV err:027"}},
		{"intermediate failure by TLV", wire.Message{EsmClass: 0x20, TLVs: tlvs("1", 7)},
			&channel.Receipt{ProviderID: "1", State: channel.Sent, Code: "UNKNOWN"}},
		{"intermediate delivery", wire.Message{EsmClass: 0x20, Short: []byte("id:1 stat:DELIVRD")},
			&channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"TLV without esm_class", wire.Message{TLVs: tlvs("1", 2)},
			&channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"message_payload", wire.Message{
			EsmClass: 4, TLVs: wire.TLVs{}.Append(pdu.TagMessagePayload, []byte("id:1 stat:DELIVRD")),
		}, &channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"UCS-2", wire.Message{EsmClass: 4, DataCoding: 8,
			Short: []byte("\x00i\x00d\x00:\x001\x00 \x00s\x00t\x00a\x00t\x00:\x00D\x00E\x00L\x00I\x00V\x00R\x00D")},
			&channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"word written out", wire.Message{EsmClass: 4, Short: []byte("ID:1 STAT:delivered")},
			&channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"no state at all", wire.Message{EsmClass: 4, Short: []byte("id:1")},
			&channel.Receipt{ProviderID: "1", State: channel.Sent}},
		{"text quoted as error", wire.Message{EsmClass: 4, Short: []byte("id:1 stat:UNDELIV err:482910-is-your-code")},
			&channel.Receipt{ProviderID: "1", State: channel.Failed, Class: channel.Unreachable, Code: "UNDELIV"}},
		{"trailing NULs", wire.Message{EsmClass: 4, Short: []byte("id:1 stat:DELIVRD\x00"),
			TLVs: wire.TLVs("\x00\x00\x00")},
			&channel.Receipt{ProviderID: "1", State: channel.Delivered, Code: "DELIVRD"}},
		{"no id", wire.Message{EsmClass: 4, Short: []byte("stat:DELIVRD")}, nil},
		{"forged by a phone", wire.Message{Short: []byte("id:1 stat:DELIVRD")}, nil},
		{"somebody's message", wire.Message{Short: []byte("hello, text: me")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := newReceipts()
			answered := make(chan wire.Header, 1)
			config := peers(t, func(p *peer, _ int) {
				p.bind()
				_, _ = p.Write(wire.AppendMessage(nil, pdu.DeliverSmID, 77, &tt.m))
				answered <- p.Next().Header
				p.Drain()
			})
			config.Receipt = got.handle
			newClient(t, config)
			if h := <-answered; h != (wire.Header{ID: pdu.DeliverSmRespID, Seq: 77}) {
				t.Errorf("answered with %+v", h)
			}
			var want []channel.Receipt
			if tt.want != nil {
				want = []channel.Receipt{*tt.want}
			}
			if diff := cmp.Diff(want, got.got, cmpopts.IgnoreFields(channel.Receipt{}, "At")); diff != "" {
				t.Errorf("receipts (-want +got):\n%s", diff)
			}
		})
	}
}

// Without Config.Receipt none is asked for, and what comes is acknowledged.
func TestNoReceiver(t *testing.T) {
	t.Parallel()
	answered := make(chan wire.Header, 1)
	c := newClient(t, peers(t, func(p *peer, _ int) {
		p.bind()
		_, _ = p.Write(deliver(1, "m1"))
		answered <- p.Next().Header
		p.Drain()
	}))
	if h := <-answered; h != (wire.Header{ID: pdu.DeliverSmRespID, Seq: 1}) {
		t.Errorf("answered with %+v", h)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}
