package smpp_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// stating is a delivery receipt with a state.
func stating(seq uint32, id, stat string) []byte {
	return wire.AppendMessage(nil, pdu.DeliverSmID, seq, &wire.Message{
		Source: wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"}, EsmClass: wire.EsmReceipt,
		Short: []byte("id:" + id + " stat:" + stat + " err:000"),
	})
}

// Receipts at 200 a second, 20 ms each: all are answered at once, so to speak.
func TestReceiptsAreHandledSeveralAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		var mu sync.Mutex
		var running, most, late int
		sent := make([]time.Time, n+1)
		answered := make(chan struct{})
		config := peers(t, func(p *peer, _ int) {
			p.bind()
			go func() {
				for i := range n {
					sent[i+1] = time.Now()
					_, _ = p.Write(stating(uint32(i+1), fmt.Sprint("m", i), "DELIVRD"))
					time.Sleep(time.Second / 200)
				}
			}()
			for got := 0; got < n; {
				f := p.Next()
				switch f.ID {
				case pdu.DeliverSmRespID:
					got++
					if time.Since(sent[f.Seq]) > 100*time.Millisecond || f.Status != 0 {
						late++
					}
				case pdu.EnquireLinkID:
					_, _ = p.Write(peertest.Answer(f))
				case 0:
					return
				}
			}
			close(answered)
			p.Drain()
		})
		config.Receipt = func(context.Context, channel.Receipt) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}
		newClient(t, config)
		<-answered
		if late != 0 {
			t.Errorf("%d of %d were answered after more than 100 ms", late, n)
		}
		if most > 16 {
			t.Errorf("%d ran at once, want 16 at most", most)
		}
	})
}

// Receipts of one message are handed over in the order in which they came, however
// long each takes, and over whichever bind; those of others do not wait for them.
func TestReceiptsOfOneMessageStayInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string][]string{}
		config := peers(t, func(p *peer, n int) {
			p.bind()
			time.Sleep(time.Duration(n) * 100 * time.Millisecond)
			for i, stat := range []string{"ENROUTE", "ACCEPTD", "DELIVRD"} {
				for id := range 10 {
					_, _ = p.Write(stating(uint32(10*i+id+1), fmt.Sprint("m", id), fmt.Sprint(stat)))
				}
			}
			p.Drain()
		})
		config.Binds = 2
		config.Receipt = func(_ context.Context, r channel.Receipt) error {
			if strings.HasPrefix(r.Code, "ENROUTE") {
				time.Sleep(5 * time.Second)
			} else {
				time.Sleep(time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			got[r.ProviderID] = append(got[r.ProviderID], r.Code)
			return nil
		}
		newClient(t, config)
		time.Sleep(15 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for id := range 10 {
			want := "[ENROUTE err:000 ACCEPTD err:000 DELIVRD err:000 ENROUTE err:000 ACCEPTD err:000 DELIVRD err:000]"
			if s := fmt.Sprint(got[fmt.Sprint("m", id)]); s != want {
				t.Errorf("m%d: %s", id, s)
			}
		}
	})
}

// Of the statuses an SMSC repeats a receipt only after some: the one that answers is
// the embedder's choice.
func TestRetryStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []smpp.Status{0, smpp.StatusThrottled, smpp.StatusSystemError, smpp.StatusQueueFull,
		smpp.StatusSubmitFailed, smpp.StatusQueryFailed, smpp.StatusDeliveryFailure, smpp.StatusUnknownError} {
		answered := make(chan smpp.Status, 1)
		config := peers(t, func(p *peer, _ int) {
			p.bind()
			_, _ = p.Write(deliver(1, "m1"))
			answered <- smpp.Status(p.Next().Status)
			p.Drain()
		})
		config.RetryStatus = status
		config.Receipt = func(context.Context, channel.Receipt) error { return channel.ErrNotAttached }
		newClient(t, config)
		if status == 0 {
			status = smpp.StatusReceiverTemporary
		}
		if got := <-answered; got != status {
			t.Errorf("answered with %v, want %v", got, status)
		}
	}
}

// Every deliver_sm is answered: before the answer to the bind, while the session
// retires, and after its unbind.
func TestReceiptsAreAnsweredAtAnyMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		answers := map[uint32]smpp.Status{}
		note := func(f wire.Frame) {
			mu.Lock()
			defer mu.Unlock()
			if f.ID == pdu.DeliverSmRespID {
				answers[f.Seq] = smpp.Status(f.Status)
			}
		}
		got := newReceipts()
		over := make(chan struct{})
		config := peers(t, func(p *peer, n int) {
			if n > 1 {
				p.bind()
				p.Drain()
				return
			}
			bind, _ := p.Await(pdu.BindTransceiverID)
			_, _ = p.Write(deliver(1, "m1"))
			_, _ = p.Write(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 2))
			_, _ = p.Write(append(wire.AppendID(nil, bind.Response(), 0, bind.Seq, "smsc"), deliver(3, "m3")...))
			for f := p.Next(); f.ID != 0; f = p.Next() {
				note(f)
				switch f.ID {
				case pdu.EnquireLinkRespID:
					answers[f.Seq] = smpp.Status(f.Status)
				case pdu.EnquireLinkID:
					_, _ = p.Write(peertest.Answer(f))
				case pdu.UnbindID:
					go func() { _, _ = p.Write(append(deliver(4, "m4"), peertest.Answer(f)...)) }()
				}
			}
			close(over)
		})
		config.Receipt, config.MaxSession = got.handle, time.Minute
		newClient(t, config)
		<-over
		want := map[uint32]smpp.Status{1: 0, 2: 0, 3: 0, 4: smpp.StatusReceiverTemporary}
		for seq, status := range want {
			if got, ok := answers[seq]; !ok || got != status {
				t.Errorf("request %d was answered with %v (%v), want %v", seq, got, ok, status)
			}
		}
		if len(got.got) != 2 {
			t.Errorf("receipts are %v", got.got)
		}
	})
}

// Unfinished long messages of one phone do not keep out those of another.
func TestOnePhoneDoesNotBlockTheOthers(t *testing.T) {
	t.Parallel()
	first := partsOf(t, strings.Repeat("a", 200), sms.GSM7, false)
	var all []*wire.Message
	for i := range 300 {
		m := *first[0]
		m.UDH = []byte{5, 0, 3, byte(i), 2, 1}
		if i >= 256 {
			m.UDH = []byte{6, 8, 4, byte(i >> 8), byte(i), 2, 1}
		}
		all = append(all, &m)
	}
	for _, part := range first {
		m := *part
		m.Source.Digits = "447911123457"
		all = append(all, &m)
	}
	got, answers := inbound(t, all, nil)
	if len(got) != 1 || got[0].From != "+447911123457" {
		t.Errorf("%d messages came, want the other phone's", len(got))
	}
	if answers[7] != 0 || answers[8] != smpp.StatusReceiverTemporary || answers[300] != 0 {
		t.Errorf("answers are %v", answers)
	}
}
