package smppserver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestAssemble: parts by user data header and by TLVs, in any order and
// over two sessions, are one message.
func TestAssemble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan *smppserver.Submit, 10)
		c := serverConfig()
		c.Assemble = true
		c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
			got <- m
			return "last", nil
		}
		s := startServer(t, c)
		a, b := bound(t, s), bound(t, s)
		udh := func(n byte, text string) func(*wire.Message) {
			return func(m *wire.Message) {
				m.EsmClass, m.UDH, m.Short = wire.EsmUDHI, []byte{5, 0, 3, 77, 3, n}, []byte(text)
			}
		}
		for _, status := range []smpp.Status{
			a.submit(udh(3, "code")), b.submit(udh(1, "482910 is ")), b.submit(udh(1, "482910 is ")),
			a.submit(udh(2, "your ")),
		} {
			if status != smpp.StatusOK {
				t.Errorf("part: %v", status)
			}
		}
		if m := <-got; m.Text != "482910 is your code" || len(m.PartIDs) != 2 || m.Parts != 1 {
			t.Errorf("%q, parts %v of %d", m.Text, m.PartIDs, m.Parts)
		}
		sar := func(n byte, text string) func(*wire.Message) {
			return func(m *wire.Message) {
				m.Short = []byte(text)
				m.TLVs = m.TLVs.Append(pdu.TagSarMsgRefNum, []byte{1, 2}).Append(pdu.TagSarTotalSegments, []byte{2}).
					Append(pdu.TagSarSegmentSeqnum, []byte{n})
			}
		}
		a.submit(sar(1, "by "))
		a.submit(sar(2, "TLV"))
		if m := <-got; m.Text != "by TLV" {
			t.Errorf("text is %q", m.Text)
		}
		long := strings.Repeat("1", 240)
		a.submit(udh(1, long))
		a.submit(udh(2, long))
		if got := a.submit(udh(3, long)); got != smpp.StatusInvalidMsgLength {
			t.Errorf("720 octets in parts: %v", got)
		}
		a.submit(udh(1, "stale "))
		a.submit(udh(2, "stale "))
		time.Sleep(time.Minute)
		a.Ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 1))
		a.submit(udh(3, "done"))
		if m := <-got; m.Text != "stale stale done" {
			t.Errorf("text is %q", m.Text)
		}
		select {
		case m := <-got:
			t.Errorf("one more: %q", m.Text)
		default:
		}
	})
}

// TestAssembleAgain: the status that refuses a whole message says whether
// its last part may come again, and so whether the others are kept.
func TestAssembleAgain(t *testing.T) {
	t.Parallel()
	for refusal, kept := range map[smpp.Status]bool{
		smpp.StatusSystemError: true, smpp.StatusThrottled: true, smpp.StatusReceiverTemporary: true,
		smpp.StatusSubmitFailed: false, smpp.StatusUnknownError: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []*smppserver.Submit
			c := serverConfig()
			c.Assemble = true
			c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
				got = append(got, m)
				if len(got) < 3 {
					return "", refusal
				}
				return "last", nil
			}
			e := bound(t, startServer(t, c))
			part := func(n byte, text string) smpp.Status {
				return e.submit(func(m *wire.Message) {
					m.EsmClass, m.UDH, m.Short = wire.EsmUDHI, []byte{5, 0, 3, 77, 3, n}, []byte(text)
				})
			}
			first := []smpp.Status{part(1, "482910 "), part(3, "your code"), part(2, "is ")}
			if want := []smpp.Status{0, 0, refusal}; !slices.Equal(first, want) {
				t.Errorf("parts are answered with %v, want %v", first, want)
			}
			if !kept {
				if again := part(2, "is "); again != smpp.StatusOK || len(got) != 1 {
					t.Errorf("after %v a part is answered with %v, and %d messages were handled", refusal, again,
						len(got))
				}
				return
			}
			if again := []smpp.Status{part(2, "is "), part(2, "is ")}; again[0] != refusal ||
				again[1] != smpp.StatusOK {
				t.Errorf("the last part is answered with %v, want %v and ESME_ROK", again, refusal)
			}
			for _, m := range got {
				if m.Text != "482910 is your code" || !slices.Equal(m.PartIDs, got[0].PartIDs) || len(m.PartIDs) != 2 {
					t.Errorf("%q, parts %v", m.Text, m.PartIDs)
				}
			}
			if part(2, "is ") != smpp.StatusOK || len(got) != 3 {
				t.Errorf("%d messages were handled, want 3", len(got))
			}
		})
	}
}

// TestAssembleWhileHandled: a part that comes again while its message is
// with the handler waits for what becomes of that.
func TestAssembleWhileHandled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan error, 1)
		c := serverConfig()
		c.Assemble = true
		c.Handler = func(context.Context, *smppserver.Submit) (string, error) { return "last", <-answers }
		s := startServer(t, c)
		a, b := bound(t, s), bound(t, s)
		part := func(n byte) func(*wire.Message) {
			return func(m *wire.Message) { m.EsmClass, m.UDH = wire.EsmUDHI, []byte{5, 0, 3, 77, 2, n} }
		}
		if got := a.submit(part(1)); got != smpp.StatusOK {
			t.Errorf("first part: %v", got)
		}
		a.Write(submitFrame(8, part(2)))
		synctest.Wait()
		if got := b.submit(part(2)); got != smpp.StatusThrottled {
			t.Errorf("while it is handled: %v", got)
		}
		answers <- smpp.StatusSystemError
		if f := a.Next(); smpp.Status(f.Status) != smpp.StatusSystemError {
			t.Errorf("last part: %+v", f.Header)
		}
		answers <- nil
		if f := b.Ask(submitFrame(9, part(2))); f.Status != 0 || wire.DecodeID(f.Body) != "last" {
			t.Errorf("last part again: %+v, id %q", f.Header, wire.DecodeID(f.Body))
		}
	})
}

// TestAssembleFull: what one account leaves incomplete costs another
// nothing, and itself no part that was acknowledged.
func TestAssembleFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 2)
		c := serverConfig()
		c.Assemble = true
		c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
			got <- m.SystemID
			return "", nil
		}
		s := startServer(t, c)
		bank, shop := bound(t, s), dial(t, s)
		shop.Ask(bindFrame(t, pdu.BindTransceiverID, "shop", "secret"))
		part := func(e *esme, ref int, n byte) smpp.Status {
			return e.submit(func(m *wire.Message) {
				m.EsmClass, m.UDH = wire.EsmUDHI, []byte{6, 8, 4, byte(ref >> 8), byte(ref), 2, n}
			})
		}
		part(shop, 1, 1)
		for ref := range 1000 {
			if status := part(bank, ref, 1); status != smpp.StatusOK {
				t.Fatalf("message %d: %v", ref, status)
			}
		}
		if status := part(bank, 1000, 1); status != smpp.StatusQueueFull {
			t.Errorf("one message too many: %v", status)
		}
		part(bank, 0, 2)
		part(shop, 1, 2)
		if first, second := <-got, <-got; first != "bank" || second != "shop" {
			t.Errorf("whole messages are of %s and %s", first, second)
		}
	})
}
