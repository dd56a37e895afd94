package smpp_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// submitted sends m and returns what the SMSC reads.
func submitted(t *testing.T, m *channel.Message, edit func(*smpp.Config)) ([]*wire.Message, error) {
	t.Helper()
	var mu sync.Mutex
	var all []*wire.Message
	config := peers(t, func(p *peer, _ int) {
		p.bind()
		for f, ok := p.Await(pdu.SubmitSmID); ok; f, ok = p.Await(pdu.SubmitSmID) {
			got, err := wire.DecodeMessage(f.Body)
			if err != nil {
				t.Errorf("submit_sm: %v", err)
				return
			}
			mu.Lock()
			all = append(all, got)
			mu.Unlock()
			_, _ = p.Write(accept(f, "m1"))
		}
	})
	edit(&config)
	_, err := newClient(t, config).Send(t.Context(), m)
	mu.Lock()
	defer mu.Unlock()
	return all, err
}

func TestCodings(t *testing.T) {
	t.Parallel()
	latin := []smpp.Coding{{DataCoding: 0, Encoding: sms.Latin1}, {DataCoding: 8, Encoding: sms.UCS2}}
	three := []smpp.Coding{{DataCoding: 0, Encoding: sms.GSM7}, {DataCoding: 3, Encoding: sms.Latin1},
		{DataCoding: 8, Encoding: sms.UCS2}}
	for _, tt := range []struct {
		name, text string
		codings    []smpp.Coding
		coding     uint8
		octets     string // empty: refused
	}{
		{"default, GSM-7", "1@é€", nil, 0, "1\x00\x05\x1be"},
		{"default, not GSM-7", "1ç", nil, 8, "\x001\x00\xe7"},
		{"Latin-1 alphabet", "1@éç", latin, 0, "1@\xe9\xe7"},
		{"Latin-1 alphabet, not Latin-1", "1€", latin, 8, "\x001\x20\xac"},
		{"three, GSM-7", "1@", three, 0, "1\x00"},
		{"three, Latin-1", "1@ç", three, 3, "1@\xe7"},
		{"three, UCS-2", "1ж", three, 8, "\x001\x04\x36"},
		{"other number", "1", []smpp.Coding{{DataCoding: 0xF0}}, 0xF0, "1"},
		{"GSM-7 only", "1ж", []smpp.Coding{{}}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := submitted(t, message(ann, tt.text), func(c *smpp.Config) { c.Codings = tt.codings })
			if tt.octets == "" {
				wantClass(t, err, channel.Misconfigured, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m := got[0]; m.DataCoding != tt.coding || string(m.Short) != tt.octets {
				t.Errorf("data_coding %d, %q; want %d, %q", m.DataCoding, m.Short, tt.coding, tt.octets)
			}
		})
	}
}

func TestLongForms(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Your code is 482910. ", 15) // 315 septets
	for _, form := range []smpp.LongForm{smpp.LongUDH, smpp.LongSAR, smpp.LongPayload} {
		got, err := submitted(t, message(ann, text), func(c *smpp.Config) {
			c.Long, c.TLVs = form, []smpp.TLV{{Tag: 0x1400, Value: []byte("1101")}}
		})
		if err != nil {
			t.Fatal(err)
		}
		var joined strings.Builder
		for i, m := range got {
			udh, data := m.Payload()
			joined.Write(data)
			if m.TLVs.String(0x1400) != "1101" {
				t.Errorf("form %d: part %d lacks its parameter", form, i)
			}
			ref, sar := m.TLVs.Get(pdu.TagSarMsgRefNum)
			first, _ := got[0].TLVs.Get(pdu.TagSarMsgRefNum)
			total, _ := m.TLVs.Uint8(pdu.TagSarTotalSegments)
			seq, _ := m.TLVs.Uint8(pdu.TagSarSegmentSeqnum)
			if want := form == smpp.LongUDH; (udh != nil) != want || m.EsmClass&wire.EsmUDHI != 0 != want {
				t.Errorf("form %d: header %x, esm_class %#x", form, udh, m.EsmClass)
			}
			if sar != (form == smpp.LongSAR) || sar &&
				(len(ref) != 2 || string(ref) != string(first) || total != 3 || int(seq) != i+1) {
				t.Errorf("form %d: part %d is %x, %d of %d", form, i, ref, seq, total)
			}
		}
		want := 3
		if form == smpp.LongPayload {
			want = 1
		}
		if len(got) != want || joined.String() != text {
			t.Errorf("form %d: %d parts read %q", form, len(got), joined.String())
		}
	}
	got, err := submitted(t, message(ann, "482910"), func(c *smpp.Config) { c.Long = smpp.LongPayload })
	if err != nil || string(got[0].Short) != "482910" || len(got[0].TLVs) != 0 {
		t.Errorf("a short text goes out as %+v, %v", got, err)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	entity := smpp.TLV{Tag: 0x1400, Value: []byte("1101234567890\x00")}
	got, err := submitted(t, message(ann, "482910"), func(c *smpp.Config) {
		c.ServiceType, c.ProtocolID, c.Priority = "OTP", 0x41, 3
		c.TLVs = []smpp.TLV{entity}
		c.MessageTLVs = func(m *channel.Message) []smpp.TLV {
			return []smpp.TLV{{Tag: 0x1401, Value: []byte(m.ID)}, {Tag: 0x1402}}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &wire.Message{
		ServiceType: "OTP", Source: wire.Addr{TON: 5, Digits: "MyBank"},
		Dest:       wire.Addr{TON: 1, NPI: 1, Digits: ann[1:]},
		ProtocolID: 0x41, Priority: 3, Short: []byte("482910"),
		TLVs: wire.TLVs("\x14\x00\x00\x0e1101234567890\x00\x14\x01\x00\x03c.1\x14\x02\x00\x00"),
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("submit_sm (-want +got):\n%s", diff)
	}
	for _, bad := range []smpp.TLV{{Tag: 0x020C}, {Tag: 0x1400, Value: make([]byte, 1<<16)}} {
		_, err := submitted(t, message(ann, "482910"), func(c *smpp.Config) {
			c.MessageTLVs = func(*channel.Message) []smpp.TLV { return []smpp.TLV{bad} }
		})
		wantClass(t, err, channel.Misconfigured, "")
	}
}

// Concurrent messages share Config.TLVs and must not write over one another's.
func TestMessageTLVsAreTheirOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	config := peers(t, func(p *peer, _ int) {
		p.bind()
		for f, ok := p.Await(pdu.SubmitSmID); ok; f, ok = p.Await(pdu.SubmitSmID) {
			m, _ := wire.DecodeMessage(f.Body)
			mu.Lock()
			if id := m.TLVs.String(0x1401); id != string(m.Short) {
				t.Errorf("message %q has the parameter %q", m.Short, id)
			}
			mu.Unlock()
			_, _ = p.Write(accept(f, "m1"))
		}
	})
	config.TLVs = []smpp.TLV{{Tag: 0x1400, Value: []byte("entity")}}
	config.MessageTLVs = func(m *channel.Message) []smpp.TLV {
		return []smpp.TLV{{Tag: 0x1401, Value: []byte(m.Text)}}
	}
	c := newClient(t, config)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := c.Send(t.Context(), message(ann, numbered(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestSendersByCountry(t *testing.T) {
	t.Parallel()
	smsc := newServer(t, smpptest.Config{})
	config := plain(smsc)
	config.Sender = "Default"
	config.Senders = map[string]string{"+1": "12025550123", "+1416": "", "+44": "MyBank", "+447911123456": "Ann"}
	c := newClient(t, config)
	for i, tt := range []struct{ to, want string }{
		{"+12125550100", "12025550123"},
		{"+14165550100", ""},
		{"+447911000000", "MyBank"},
		{ann, "Ann"},
		{"+4930123456", "Default"},
	} {
		if _, err := c.Send(t.Context(), message(tt.to, "482910")); err != nil {
			t.Fatal(err)
		}
		if got := smsc.Submits()[i].From; got != tt.want {
			t.Errorf("the sender for %s is %q, want %q", tt.to, got, tt.want)
		}
	}
}

// An SMSC that says "invalid number" for a country it does not serve.
func TestClasses(t *testing.T) {
	t.Parallel()
	smsc := newServer(t, smpptest.Config{})
	config := plain(smsc)
	config.Classes = map[smpp.Status]channel.Class{smpp.StatusInvalidDestination: channel.Unreachable,
		0x411: channel.Throttled}
	c := newClient(t, config)
	for status, class := range map[smpp.Status]channel.Class{
		smpp.StatusInvalidDestination: channel.Unreachable,
		0x411:                         channel.Throttled,
		smpp.StatusSystemError:        channel.Temporary,
	} {
		smsc.Next(1, smpptest.Reply{Status: status})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, class, status.Code())
	}
}
