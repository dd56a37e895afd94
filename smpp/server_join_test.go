package smpp_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestServerAssemble: parts by user data header and by TLVs, in any order and
// over two sessions, are one message.
func TestServerAssemble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan *smpp.Submit, 10)
		c := serverConfig()
		c.Assemble = true
		c.Handler = func(_ context.Context, m *smpp.Submit) (string, error) {
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
			a.submit(udh(3, "code")), b.submit(udh(1, "482910 is ")), b.submit(udh(1, "482910 is ")), a.submit(udh(2, "your ")),
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
		a.ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 1))
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
