package smpptest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func cancel(seq uint32, id, to string) []byte {
	return wire.AppendCancel(nil, seq, wire.Cancel{ID: id, Dest: wire.Addr{TON: 1, NPI: 1, Digits: to}})
}

func TestCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		defer s.Close()
		s.On("+1", smpptest.Reply{ID: "a", Receipt: smpptest.Receipt{Delay: time.Second}})
		s.On("+2", smpptest.Reply{ID: "b", Receipt: smpptest.Receipt{None: true}})
		e := connect(t, s)
		e.bind(pdu.BindTransceiverID, "", "")
		e.ask(submit(2, "1", "482910"))
		e.ask(submit(3, "2", "482910"))
		e.next() // +1's receipt
		e.Write(wire.AppendID(nil, pdu.DeliverSmRespID, 0, 1, ""))
		var got []smpp.Status
		for i, tt := range []struct{ id, to string }{{"a", "1"}, {"c", "1"}, {"b", "1"}, {"b", ""}, {"b", "2"}} {
			got = append(got, smpp.Status(e.ask(cancel(uint32(i+4), tt.id, tt.to)).Status))
		}
		want := []smpp.Status{
			smpp.StatusCancelFailed, smpp.StatusInvalidMessageID, smpp.StatusInvalidMessageID, smpp.StatusOK,
			smpp.StatusCancelFailed,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if c := s.Cancels()[3]; c != (smpptest.Cancel{Conn: 1, Sequence: 7, ID: "b"}) {
			t.Errorf("recorded %+v", c)
		}
	})
}

func TestNextCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		defer s.Close()
		until := make(chan struct{})
		s.NextCancels(1, smpptest.Reply{Until: until, Status: smpp.StatusSystemError})
		s.NextCancels(1, smpptest.Reply{Stall: true})
		s.NextCancels(1, smpptest.Reply{Delay: time.Second})
		s.NextCancels(1, smpptest.Reply{Hangup: true, HangupAfter: 5})
		e := connect(t, s)
		e.bind(pdu.BindTransceiverID, "", "")
		e.Write(cancel(2, "a", ""))
		synctest.Wait()
		e.Write(cancel(3, "a", ""))
		synctest.Wait()
		began := time.Now()
		if f := e.ask(cancel(4, "a", "")); f.Seq != 4 || f.Status != 0 || time.Since(began) != time.Second {
			t.Errorf("delayed: %+v after %v", f.Header, time.Since(began))
		}
		close(until)
		if f := e.next(); f.Seq != 2 || smpp.Status(f.Status) != smpp.StatusSystemError {
			t.Errorf("held back: %+v", f.Header)
		}
		e.Write(cancel(5, "a", ""))
		var octets [16]byte
		n := 0
		for {
			m, err := e.Read(octets[n:])
			if n += m; err != nil {
				break
			}
		}
		if n != 5 {
			t.Errorf("%d octets before the end, want 5", n)
		}
	})
}
