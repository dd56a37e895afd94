package smpp_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestRealNodeSMPP is the main job against an SMSC that none of us wrote: 200
// codes made, carried over TLS, taken from what that server received, and
// verified; and all 200 receipts find their challenges.
func TestRealNodeSMPP(t *testing.T) {
	smsc := startNodeSMSC(t)
	const codes = 200
	var receipts channel.Receipts
	client, err := smpp.New(smpp.Config{Addr: smsc.Addr, TLS: smsc.TLS, SystemID: "otpcourier", Password: "secret",
		Sender:  "MyBank",
		Receipt: receipts.For("node")})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	routes, err := failover.New(failover.Config{Router: failover.List(channel.Route{Name: "node", Channel: client,
		Address: channel.Phone})})
	if err != nil {
		t.Fatal(err)
	}
	delivered := make(chan otp.Event, codes)
	svc, err := otp.New(otp.Config{Channel: routes, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "MyBank"}, Receipts: &receipts,
		Events: func(_ context.Context, e otp.Event) {
			if e.Kind == otp.EventReceipt && e.State == channel.Delivered {
				delivered <- e
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	challenges := sendCodes(ctx, t, svc, codes)
	digits := regexp.MustCompile(`^\d{6}\b`)
	for range codes {
		var m nodeMessage
		select {
		case m = <-smsc.Messages:
		case <-ctx.Done():
			t.Fatal("the SMSC received too few messages")
		}
		c, found := challenges["+"+strings.TrimPrefix(m.To, "+")]
		code := digits.FindString(m.Text)
		if !found || code == "" || m.From != "MyBank" || m.FromTON != 5 || m.ToTON != 1 || m.ToNPI != 1 {
			t.Fatalf("the SMSC received %+v", m)
		}
		typed := otp.Verification{ID: c.ID, Subject: c.subject, Purpose: "login", Code: code}
		if proven, err := svc.Verify(ctx, typed); err != nil || proven.Route != "node" || proven.Used != channel.Phone {
			t.Errorf("%s: %+v, %v", c.ID, proven, err)
		}
	}
	matched := map[string]bool{}
	for range codes {
		select {
		case e := <-delivered:
			matched[e.Challenge] = true
		case <-ctx.Done():
			t.Fatalf("%d of %d receipts were matched", len(matched), codes)
		}
	}
	for _, c := range challenges {
		s, err := svc.Status(ctx, otp.Ref{ID: c.ID, Subject: c.subject})
		if err != nil || s.State != channel.Delivered || s.Outcome.String() != "verified" || !matched[c.ID] {
			t.Errorf("%s: %+v, %v, receipt %v", c.ID, s, err, matched[c.ID])
		}
	}
}

type sent struct {
	*otp.Challenge
	subject string
}

// sendCodes sends n codes from 20 goroutines and returns their challenges by
// number.
func sendCodes(ctx context.Context, t *testing.T, svc *otp.Service, n int) map[string]sent {
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[string]sent{}
	for worker := range 20 {
		wg.Go(func() {
			for i := worker; i < n; i += 20 {
				phone, subject := fmt.Sprintf("+447912345%03d", i), fmt.Sprintf("user-%d", i)
				c, err := svc.Send(ctx, otp.Request{Subject: subject, Purpose: "login",
					To: channel.Recipient{Phone: phone}})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all[phone] = sent{c, subject}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}
