package smppserver_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// dataSM sends a data_sm and returns its answer.
func (e *esme) dataSM(change func(*wire.Message)) (smpp.Status, string) {
	e.t.Helper()
	m := &wire.Message{
		Source: wire.Addr{TON: 5, Digits: "MyBank"}, Dest: wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"},
		Registered: 1,
	}
	m.TLVs = m.TLVs.Append(pdu.TagMessagePayload, []byte("482910 is your code"))
	if change != nil {
		change(m)
	}
	f := e.Ask(wire.AppendDataSM(nil, 7, m))
	if f.ID != pdu.DataSmRespID || f.Seq != 7 {
		e.t.Fatalf("answered with %+v", f.Header)
	}
	return smpp.Status(f.Status), wire.DecodeID(f.Body)
}

// TestDataSM: data_sm is a message as submit_sm is, with its receipt and its life.
func TestDataSM(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got *smppserver.Submit
		c := serverConfig()
		c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
			got = m
			m.Deliver(smppserver.DeliveryReceipt{})
			return "m1", nil
		}
		e := bound(t, startServer(t, c))
		ttl := func(v ...byte) func(*wire.Message) {
			return func(m *wire.Message) { m.TLVs = m.TLVs.Append(pdu.TagQosTimeToLive, v) }
		}
		status, id := e.dataSM(ttl(binary.BigEndian.AppendUint32(nil, 300)...))
		if status != smpp.StatusOK || id != "m1" {
			t.Fatalf("answered with %v, %q", status, id)
		}
		want := &smppserver.Submit{
			SystemID: "bank", Sequence: 7, From: "MyBank", FromTON: 5, To: "+447911123456", ToTON: 1,
			Text: "482910 is your code", Data: []byte("482910 is your code"), Part: 1, Parts: 1,
			Receipt: true, Registered: 1, Validity: 5 * time.Minute, Expires: time.Now().Add(5 * time.Minute),
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(*want, "Session"),
			cmpopts.IgnoreUnexported(*want)); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
		if f := e.Next(); f.ID != pdu.DeliverSmID || !bytes.Contains(f.Body, []byte("id:m1 ")) {
			t.Errorf("receipt: %+v", f.Header)
		} else {
			e.Write(peertest.Answer(f))
		}
		for _, tt := range []struct {
			name   string
			change func(*wire.Message)
			want   smpp.Status
		}{
			{"life of 0 s", ttl(0, 0, 0, 0), smpp.StatusInvalidExpiry},
			{"life of one octet", ttl(9), smpp.StatusInvalidExpiry},
			{"no destination", func(m *wire.Message) { m.Dest.Digits = "" }, smpp.StatusInvalidDestination},
			{"over MaxMessage", func(m *wire.Message) {
				m.TLVs = wire.TLVs{}.Append(pdu.TagMessagePayload, bytes.Repeat([]byte{'1'}, 513))
			}, smpp.StatusInvalidMsgLength},
			{"60,000 octets", func(m *wire.Message) {
				m.TLVs = wire.TLVs{}.Append(pdu.TagMessagePayload, bytes.Repeat([]byte{'1'}, 60_000))
			}, smpp.StatusInvalidMsgLength},
			{"sender of 12", func(m *wire.Message) { m.Source.Digits = "MyBankMyBank" }, smpp.StatusInvalidSource},
		} {
			if got, _ := e.dataSM(tt.change); got != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		if got, _ := dial(t, startServer(t, serverConfig())).dataSM(nil); got != smpp.StatusInvalidBindStatus {
			t.Errorf("before a bind: %v", got)
		}
	})
}

// TestDataSMKeepsAlive: a session that sends data_sm only is active, and a long
// message may come by data_sm.
func TestDataSMKeepsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var texts []string
		c := serverConfig()
		c.Assemble = true
		c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
			texts = append(texts, m.Text)
			return "", nil
		}
		e := bound(t, startServer(t, c))
		for n := range 4 {
			if status, _ := e.dataSM(func(m *wire.Message) {
				m.EsmClass = wire.EsmUDHI
				part := fmt.Appendf(nil, "\x05\x00\x03\x01\x04%cpart %d ", n+1, n)
				m.TLVs = wire.TLVs{}.Append(pdu.TagMessagePayload, part)
			}); status != smpp.StatusOK {
				t.Fatal(status)
			}
			time.Sleep(time.Minute)
		}
		if want := []string{"part 0 part 1 part 2 part 3 "}; !slices.Equal(texts, want) {
			t.Errorf("texts are %q", texts)
		}
	})
}

// TestQuery: query_sm is answered by Config.Query.
func TestQuery(t *testing.T) {
	t.Parallel()
	var got *smppserver.QueryRequest
	var result smppserver.QueryResult
	var failure error
	c := serverConfig()
	c.Query = func(_ context.Context, r *smppserver.QueryRequest) (smppserver.QueryResult, error) {
		got = r
		return result, failure
	}
	s := startServer(t, c)
	e := bound(t, s)
	aQuery := wire.Query{ID: "m1", Source: wire.Addr{TON: 5, Digits: "MyBank"}}
	ask := func(v wire.Query) (wire.Frame, wire.QueryResp) {
		f := e.Ask(wire.AppendQuery(nil, 8, v))
		if f.ID != pdu.QuerySmRespID || f.Seq != 8 {
			t.Fatalf("answered with %+v", f.Header)
		}
		resp, _ := wire.DecodeQueryResp(f.Body)
		return f, resp
	}
	at := time.Date(2026, 2, 12, 14, 30, 5, 0, time.FixedZone("CET", 3600))
	for _, tt := range []struct {
		result smppserver.QueryResult
		err    error
		status smpp.Status
		want   wire.QueryResp
	}{
		{smppserver.QueryResult{Stat: "DELIVRD", Final: at}, nil, 0,
			wire.QueryResp{ID: "m1", FinalDate: "260212133005000+", State: 2}},
		{smppserver.QueryResult{Stat: "UNDELIV", Final: at, ErrorCode: 27}, nil, 0,
			wire.QueryResp{ID: "m1", FinalDate: "260212133005000+", State: 5, ErrorCode: 27}},
		{smppserver.QueryResult{Stat: "ENROUTE"}, nil, 0, wire.QueryResp{ID: "m1", State: 1}},
		{smppserver.QueryResult{Stat: "LOST"}, nil, smpp.StatusQueryFailed, wire.QueryResp{}},
		{smppserver.QueryResult{}, smpp.StatusInvalidMessageID, smpp.StatusInvalidMessageID, wire.QueryResp{}},
		{smppserver.QueryResult{Stat: "DELIVRD"}, errors.New("any"), smpp.StatusQueryFailed, wire.QueryResp{}},
		{smppserver.QueryResult{}, &channel.Error{Class: channel.Temporary}, smpp.StatusSystemError, wire.QueryResp{}},
	} {
		result, failure = tt.result, tt.err
		f, resp := ask(aQuery)
		if smpp.Status(f.Status) != tt.status || resp != tt.want {
			t.Errorf("%+v, %v: %+v, %+v", tt.result, tt.err, f.Header, resp)
		}
	}
	want := &smppserver.QueryRequest{SystemID: "bank", Sequence: 8, ID: "m1", From: "MyBank", FromTON: 5}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(*want, "Session")); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if text := fmt.Sprintf("%v %#v %s", got, got, got.LogValue()); strings.Contains(text, "MyBank") {
		t.Errorf("printed as %s", text)
	}
	got = nil
	for _, v := range []wire.Query{{}, {ID: strings.Repeat("1", 65)},
		{ID: "m1", Source: wire.Addr{Digits: strings.Repeat("1", 22)}}} {
		if f, _ := ask(v); f.Status == 0 || got != nil {
			t.Errorf("%+v: %+v", v, f.Header)
		}
	}
	if f := dial(t, s).Ask(wire.AppendQuery(nil, 8, aQuery)); smpp.Status(f.Status) != smpp.StatusInvalidBindStatus {
		t.Errorf("before a bind: %+v", f.Header)
	}
}

// TestUnsupportedCommands: a command that the peer's version of SMPP has is answered
// with the status by which it fails. Any other is unknown.
func TestUnsupportedCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig())
	for _, tt := range []struct {
		name string
		id   pdu.CommandID
		want map[uint8]wire.Header // by interface_version
	}{
		{"submit_multi", 0x21, map[uint8]wire.Header{0x34: {ID: 0x80000021, Status: 0x45, Seq: 9}}},
		{"replace_sm", 0x07, map[uint8]wire.Header{0x34: {ID: 0x80000007, Status: 0x13, Seq: 9}}},
		{"query_sm", 0x03, map[uint8]wire.Header{0x34: {ID: 0x80000003, Status: 0x67, Seq: 9}}},
		{"broadcast_sm", 0x111, map[uint8]wire.Header{
			0x34: {ID: pdu.GenericNackID, Status: 0x03, Seq: 9}, 0x50: {ID: 0x80000111, Status: 0x10C, Seq: 9}}},
		{"query_broadcast_sm", 0x112, map[uint8]wire.Header{
			0x34: {ID: pdu.GenericNackID, Status: 0x03, Seq: 9}, 0x50: {ID: 0x80000112, Status: 0x10D, Seq: 9}}},
		{"cancel_broadcast_sm", 0x113, map[uint8]wire.Header{
			0x34: {ID: pdu.GenericNackID, Status: 0x03, Seq: 9}, 0x50: {ID: 0x80000113, Status: 0x10E, Seq: 9}}},
		{"deliver_sm", 0x05, map[uint8]wire.Header{0x50: {ID: pdu.GenericNackID, Status: 0x03, Seq: 9}}},
	} {
		for version, want := range tt.want {
			e := dial(t, s)
			bind, err := wire.AppendBind(nil, pdu.BindTransceiverID, 1,
				wire.Bind{SystemID: "bank", Password: "secret", Version: version})
			if err != nil {
				t.Fatal(err)
			}
			e.Ask(bind)
			if f := e.Ask(wire.AppendEmpty(nil, tt.id, 0, 9)); f.Header != want {
				t.Errorf("%s, version 0x%02X: %+v, want %+v", tt.name, version, f.Header, want)
			}
			if got := e.submit(nil); got != smpp.StatusOK {
				t.Errorf("%s, then: %v", tt.name, got)
			}
		}
		if f := dial(t, s).Ask(wire.AppendEmpty(nil, tt.id, 0, 9)); f.Status != 0x04 && f.Status != 0x03 {
			t.Errorf("%s before a bind: %+v", tt.name, f.Header)
		}
	}
}
