package smpp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// inbound has the SMSC send deliver_sm (data_sm where it has a payload) one
// after the other, and returns what the client made of them and its answers.
func inbound(t *testing.T, all []*wire.Message, edit func(*smpp.Config)) ([]smpp.Inbound, []smpp.Status) {
	t.Helper()
	var mu sync.Mutex
	var got []smpp.Inbound
	answers := make(chan []smpp.Status, 1)
	config := peers(t, func(p *peer, _ int) {
		p.bind()
		var statuses []smpp.Status
		for i, m := range all {
			seq := uint32(i + 1)
			b := wire.AppendMessage(nil, pdu.DeliverSmID, seq, m)
			if _, ok := m.TLVs.Get(pdu.TagMessagePayload); ok {
				b = wire.AppendDataSM(nil, seq, m)
			}
			_, _ = p.Write(b)
			f := p.Next()
			if f.Seq != seq {
				t.Errorf("answer to %d is %+v", seq, f.Header)
			}
			statuses = append(statuses, smpp.Status(f.Status))
		}
		answers <- statuses
		p.Drain()
	})
	config.Inbound = func(_ context.Context, m smpp.Inbound) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
		return nil
	}
	if edit != nil {
		edit(&config)
	}
	newClient(t, config)
	statuses := <-answers
	mu.Lock()
	defer mu.Unlock()
	return got, statuses
}

// from is a message of Ann's to the short code 12345.
func from(text string) *wire.Message {
	return &wire.Message{
		Source: wire.Addr{TON: 1, NPI: 1, Digits: ann[1:]}, Dest: wire.Addr{TON: 3, Digits: "12345"},
		Short: []byte(text),
	}
}

// partsOf are the parts of a text with a user data header, or with sar
// parameters.
func partsOf(t *testing.T, text string, e sms.Encoding, sar bool) []*wire.Message {
	t.Helper()
	parts, err := sms.Split(text, e, sms.Ref16(0x1234))
	if err != nil {
		t.Fatal(err)
	}
	var all []*wire.Message
	for i, part := range parts {
		m := from("")
		m.Short = part.Data
		if e == sms.UCS2 {
			m.DataCoding = 8
		}
		if sar {
			m.TLVs = m.TLVs.Append(pdu.TagSarMsgRefNum, []byte{0x12, 0x34}).
				Append(pdu.TagSarTotalSegments, []byte{byte(len(parts))}).Append(pdu.TagSarSegmentSeqnum,
				[]byte{byte(i + 1)})
		} else {
			m.UDH, m.EsmClass = part.UDH, wire.EsmUDHI
		}
		all = append(all, m)
	}
	return all
}

func TestInbound(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Stop it, 😀. ", 20)
	udh, sar := partsOf(t, long, sms.UCS2, false), partsOf(t, long, sms.UCS2, true)
	payload := from("")
	payload.TLVs = payload.TLVs.Append(pdu.TagMessagePayload, []byte("STOP"))
	latin := from("\xe9")
	latin.DataCoding = 3
	header := from("STOP")
	header.UDH, header.EsmClass = []byte{4, 0x24, 2, 1, 2}, wire.EsmUDHI // a header of another kind
	receipt := from("id:1 stat:DELIVRD")
	receipt.EsmClass = wire.EsmReceipt
	for _, tt := range []struct {
		name string
		in   []*wire.Message
		want []string
	}{
		{"short", []*wire.Message{from("STOP")}, []string{"STOP"}},
		{"empty", []*wire.Message{from("")}, []string{""}},
		{"message_payload", []*wire.Message{payload}, []string{"STOP"}},
		{"GSM-7", []*wire.Message{from("\x00\x1be")}, []string{"@€"}},
		{"Latin-1", []*wire.Message{latin}, []string{"é"}},
		{"not GSM-7 at all", []*wire.Message{from("\xe9")}, []string{"é"}},
		{"another header", []*wire.Message{header}, []string{"STOP"}},
		{"parts by header", udh, []string{long}},
		{"parts by sar parameters", sar, []string{long}},
		{"parts in another order, one twice", []*wire.Message{udh[3], udh[0], udh[0], udh[1], udh[2]}, []string{long}},
		{"a part alone", udh[:1], nil},
		{"forged receipt", []*wire.Message{from("id:1 stat:DELIVRD")}, []string{"id:1 stat:DELIVRD"}},
		{"receipt", []*wire.Message{receipt}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, answers := inbound(t, tt.in, nil)
			var want []smpp.Inbound
			for _, text := range tt.want {
				want = append(want, smpp.Inbound{From: ann, To: "12345", Text: text})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(make([]smpp.Status, len(tt.in)), answers); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// What the receiver cannot store comes again, a long message by its last part.
func TestInboundIsRepeated(t *testing.T) {
	t.Parallel()
	parts := partsOf(t, strings.Repeat("a", 200), sms.GSM7, false)
	tries := 0
	var got string
	_, answers := inbound(t, []*wire.Message{parts[0], parts[1], parts[1]}, func(c *smpp.Config) {
		c.Inbound = func(_ context.Context, m smpp.Inbound) error {
			got = m.Text
			tries++
			if tries == 1 {
				return errors.New("disk full")
			}
			return nil
		}
	})
	if diff := cmp.Diff([]smpp.Status{0, smpp.StatusReceiverTemporary, 0}, answers); diff != "" || len(got) != 200 ||
		tries != 2 {
		t.Errorf("read %d characters in %d tries, answers (-want +got):\n%s", len(got), tries, diff)
	}
}

// Parts that nobody completes do not pile up, and cost nobody what was
// acknowledged: one too many is to come again later.
func TestInboundPartsAreBounded(t *testing.T) {
	t.Parallel()
	first := partsOf(t, strings.Repeat("a", 200), sms.GSM7, false)
	all := []*wire.Message{first[0]}
	for i := range 256 {
		m := *first[0]
		m.Source.Digits = fmt.Sprint(i)
		all = append(all, &m)
	}
	all = append(all, first[1])
	want := make([]smpp.Status, len(all))
	want[256] = smpp.StatusReceiverTemporary
	got, answers := inbound(t, all, nil)
	if diff := cmp.Diff(want, answers); diff != "" || len(got) != 1 {
		t.Errorf("read %d messages, want the first; answers (-want +got):\n%s", len(got), diff)
	}
}

func TestInboundPrintsNothing(t *testing.T) {
	t.Parallel()
	m := smpp.Inbound{From: ann, To: "+12025550123", Text: "482910"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, m); strings.Contains(s, "482910") || strings.Contains(s, "79111") {
			t.Errorf("%s prints %s", format, s)
		}
	}
	if s := m.LogValue().String(); strings.Contains(s, "482910") || strings.Contains(s, "79111") {
		t.Errorf("it is logged as %s", s)
	}
}
