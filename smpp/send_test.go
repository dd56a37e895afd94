package smpp_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestSendOverTLS(t *testing.T) {
	t.Parallel()
	smsc := smpptest.NewTLSServer(smpptest.Config{SystemID: "bank", Password: "secret"})
	defer smsc.Close()
	got := newReceipts()
	c := newClient(t, smpp.Config{
		Addr: smsc.Addr, TLS: smsc.ClientTLS(), SystemID: "bank", Password: "secret", Receipt: got.handle,
	})
	m := message(ann, "Your code is 482910")
	m.Expires = time.Now().Add(24 * time.Hour)
	sub, err := c.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(channel.Submission{State: channel.Sent, ProviderIDs: []string{"m1"}}, sub); diff != "" {
		t.Errorf("submission (-want +got):\n%s", diff)
	}
	want := smpptest.Submit{
		Number: 1, Conn: 1, Sequence: 2, From: "MyBank", FromTON: 5, To: ann, Text: "Your code is 482910",
		Octets: 19, Part: 1, Parts: 1, Validity: 24 * time.Hour, Receipt: true, ID: "m1",
	}
	near := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Minute })
	if diff := cmp.Diff([]smpptest.Submit{want}, smsc.Submits(), cmpopts.IgnoreUnexported(want), near); diff != "" {
		t.Errorf("submit_sm (-want +got):\n%s", diff)
	}
	r := got.wait(t, 1)[0]
	if r.ProviderID != "m1" || r.State != channel.Delivered || r.Code != "DELIVRD err:000" {
		t.Errorf("receipt is %+v", r)
	}
	if b := smsc.Binds(); len(b) != 1 || b[0].Version != 0x34 {
		t.Errorf("binds are %+v, want one with interface_version 0x34", b)
	}
}

func TestLongMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		parts      int
		coding     uint8
	}{
		{"one septet part", strings.Repeat("a", 160), 1, 0},
		{"two septet parts", strings.Repeat("a", 161), 2, 0},
		{"extension table", "Código: 482910 {€}", 1, 8},
		{"GSM-7 extension", "482910 {€}", 1, 0},
		{"one UCS-2 part", strings.Repeat("код ", 17), 1, 8},
		{"three UCS-2 parts", strings.Repeat("код 😀", 30), 3, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			smsc := newServer(t, smpptest.Config{})
			c := newClient(t, plain(smsc))
			sub, err := c.Send(t.Context(), message(ann, tt.text))
			if err != nil {
				t.Fatal(err)
			}
			got := smsc.Messages()
			if len(got) != 1 || got[0].Text != tt.text {
				t.Errorf("received %+v", got)
			}
			if len(sub.ProviderIDs) != tt.parts || !cmp.Equal(sub.ProviderIDs, got[0].IDs) {
				t.Errorf("ids are %v, of the server %v, want %d", sub.ProviderIDs, got[0].IDs, tt.parts)
			}
			if dc := smsc.Submits()[0].DataCoding; dc != tt.coding {
				t.Errorf("data_coding is %d, want %d", dc, tt.coding)
			}
		})
	}
}

func TestLaterPartFails(t *testing.T) {
	t.Parallel()
	smsc := newServer(t, smpptest.Config{})
	smsc.On(ann, smpptest.Reply{}, smpptest.Reply{Status: smpp.StatusThrottled})
	c := newClient(t, plain(smsc))
	sub, err := c.Send(t.Context(), message(ann, strings.Repeat("a", 200)))
	wantClass(t, err, channel.Unknown, "0x58")
	if !errors.Is(err, smpp.StatusThrottled) || !strings.Contains(err.Error(), "part 2 of 2") {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff(channel.Submission{State: channel.Failed, ProviderIDs: []string{"m1"}}, sub); diff != "" {
		t.Errorf("submission (-want +got):\n%s", diff)
	}
}

func TestSenders(t *testing.T) {
	t.Parallel()
	smsc := newServer(t, smpptest.Config{})
	for _, tt := range []struct {
		config, brand string
		numbering     *smpp.Numbering
		want          string
		ton           uint8
	}{
		{"", "", nil, "", 0},
		{"", "MyBank", nil, "MyBank", 5},
		{"Config", "MyBank", nil, "Config", 5},
		{"", "1xBet", nil, "1xBet", 5},
		{"12345", "", nil, "12345", 3},
		{"+447700900123", "", nil, "447700900123", 1},
		{"447700900123", "", nil, "447700900123", 1},
		{"12345", "", &smpp.Numbering{TON: 6, NPI: 1}, "12345", 6},
	} {
		config := plain(smsc)
		config.Sender, config.SenderNumbering = tt.config, tt.numbering
		m := message(ann, "Your code is 482910")
		m.Sender = tt.brand
		if _, err := newClient(t, config).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		all := smsc.Submits()
		if got := all[len(all)-1]; got.From != tt.want || got.FromTON != tt.ton {
			t.Errorf("%+v: source is %q, TON %d", tt, got.From, got.FromTON)
		}
	}
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	smsc := newServer(t, smpptest.Config{})
	c := newClient(t, plain(smsc))
	text := "Your code is 482910"
	for _, tt := range []struct {
		name  string
		edit  func(*channel.Message)
		class channel.Class
	}{
		{"no address", func(m *channel.Message) { m.To = channel.Recipient{} }, channel.InvalidRecipient},
		{"e-mail only", func(m *channel.Message) { m.To = channel.Recipient{Email: "ann@example.com"} },
			channel.InvalidRecipient},
		{"not E.164", func(m *channel.Message) { m.To.Phone = "07911123456" }, channel.InvalidRecipient},
		{"number with NUL", func(m *channel.Message) { m.To.Phone = "+4479\x0011123456" }, channel.InvalidRecipient},
		{"no text", func(m *channel.Message) { m.Text = "" }, channel.Misconfigured},
		{"not UTF-8", func(m *channel.Message) { m.Text = "code \xff" }, channel.Misconfigured},
		{"endless text", func(m *channel.Message) { m.Text = strings.Repeat("a", 1<<20) }, channel.Misconfigured},
		{"long sender", func(m *channel.Message) { m.Sender = "Twelve chars" }, channel.Misconfigured},
		{"sender with NUL", func(m *channel.Message) { m.Sender = "My\x00Bank" }, channel.Misconfigured},
		{"expired", func(m *channel.Message) { m.Expires = time.Now() }, channel.Expired},
	} {
		m := message(ann, text)
		tt.edit(m)
		sub, err := c.Send(t.Context(), m)
		if channel.ClassOf(err) != tt.class || sub.State != channel.Failed {
			t.Errorf("%s: %v, %v; want class %v", tt.name, sub, err, tt.class)
		}
		if err != nil && (strings.Contains(err.Error(), "482910") || strings.Contains(err.Error(), "7911")) {
			t.Errorf("%s: error tells the code or the number: %v", tt.name, err)
		}
	}
	if got := smsc.Submits(); len(got) != 0 {
		t.Errorf("the SMSC received %+v", got)
	}
}

// Only the phone number is this channel's to judge.
func TestOtherAddressesDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		m := message(ann, "482910")
		m.To.Email, m.To.Push = "ann@", "no token"
		sub, err := c.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		s.NextCancels(1, smpptest.Reply{})
		if err := c.Cancel(t.Context(), m, sub); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		m.To.Phone = "447911"
		_, err = c.Send(t.Context(), m)
		wantClass(t, err, channel.InvalidRecipient, "")
	})
}
