package smpp_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// traced runs a session with a message, its receipt, and a cancel_sm, and returns
// the lines of its trace.
func traced(t *testing.T, edit func(*smpp.Config)) (lines []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.SystemID, c.Password, c.Receipt = "bank", "hunter2", newReceipts().handle
			c.Trace = func(p smpp.PDU) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, p.String())
				if p.Addr != "smsc.example:2775" || p.At.IsZero() ||
					!strings.Contains(p.LogValue().String(), p.Command) {
					t.Errorf("PDU is %+v", p)
				}
			}
			if edit != nil {
				edit(c)
			}
		})
		s.On(ann, smpptest.Reply{ID: "m123", Receipt: smpptest.Receipt{Delay: time.Second}})
		m := message(ann, "482910 is your code.")
		m.Expires = time.Now().Add(5 * time.Minute)
		sub, err := c.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		_ = c.Cancel(t.Context(), m, sub)
		time.Sleep(13*time.Second + time.Second/2)
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
	})
	return lines
}

// A trace has every PDU of both directions, and none of its secrets.
func TestTraceShowsEveryPDU(t *testing.T) {
	t.Parallel()
	lines := traced(t, nil)
	var got []string
	for _, line := range lines {
		words := strings.Fields(line)
		got = append(got, words[0]+" "+words[1]+" "+words[2]+" "+words[3])
	}
	want := []string{
		"sent bind_transceiver seq=1 status=0x00", "received bind_transceiver_resp seq=1 status=0x00",
		"sent submit_sm seq=2 status=0x00", "received submit_sm_resp seq=2 status=0x00",
		"received deliver_sm seq=1 status=0x00", "sent deliver_sm_resp seq=1 status=0x00",
		"sent cancel_sm seq=3 status=0x00", "received cancel_sm_resp seq=3 status=0x11",
		"sent enquire_link seq=4 status=0x00", "received enquire_link_resp seq=4 status=0x00",
		"sent unbind seq=5 status=0x00", "received unbind_resp seq=5 status=0x00",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	all := strings.Join(lines, "\n")
	for _, secret := range []string{"482910", "343832393130", "hunter2", "7911123456", "MyBank"} {
		if strings.Contains(all, secret) {
			t.Errorf("the trace tells %q:\n%s", secret, all)
		}
	}
	for _, shown := range []string{
		`system_id="bank" password="***"`, `validity_period="000000000500000R"`, `registered_delivery="1"`,
		`short_message="*** (20 octets)"`, `message_id="m123"`, `receipt="id:m123 stat:DELIVRD err:000"`,
		`tlv_0x001E="m123"`, `tlv_0x0427="02"`, `destination_addr_ton="1"`, `data_coding="0x00"`,
	} {
		if !strings.Contains(all, shown) {
			t.Errorf("the trace does not tell %s:\n%s", shown, all)
		}
	}
}

// DangerouslyTraceContents shows all but the password.
func TestTraceContents(t *testing.T) {
	t.Parallel()
	all := strings.Join(traced(t, func(c *smpp.Config) { c.DangerouslyTraceContents = true }), "\n")
	for _, shown := range []string{`destination_addr="447911123456"`, `source_addr="MyBank"`,
		fmt.Sprintf(`short_message="%x"`, "482910 is your code.")} {
		if !strings.Contains(all, shown) {
			t.Errorf("the trace does not tell %s:\n%s", shown, all)
		}
	}
	if strings.Contains(all, "hunter2") {
		t.Error("the trace tells the password")
	}
}
