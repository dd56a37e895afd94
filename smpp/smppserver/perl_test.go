package smppserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A perlResult is what testdata/perl-esme.pl writes. A status that it was answered
// with is a number.
type perlResult struct {
	Bind, Accepted, Refused, Receipts, Unmatched, Unbind int
	Query, State, Replace, Expired, Alive                int
	Final, Text                                          string
}

// TestRealNetSMPP has Perl's Net::SMPP (Debian: libnet-smpp-perl) bind to a Server,
// submit by submit_sm and data_sm, query, and receive receipts and a message.
func TestRealNetSMPP(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "perl", "-MNet::SMPP", "-e", "1").Run(); err != nil {
		reason := fmt.Sprintf("Net::SMPP is not there (apt-get install libnet-smpp-perl): %v", err)
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	const n = 100
	var (
		mu    sync.Mutex
		texts = make(map[string]string)
		s     *smppserver.Server
	)
	config := serverConfig()
	config.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		texts[m.To] = m.Text
		if len(texts) == 1 {
			if err := s.DeliverMessage("bank", aStop); err != nil {
				return "", err
			}
		}
		m.Deliver(smppserver.DeliveryReceipt{})
		return "", nil
	}
	config.Query = func(context.Context, *smppserver.QueryRequest) (smppserver.QueryResult, error) {
		return smppserver.QueryResult{Stat: "DELIVRD", Final: time.Date(2026, 2, 12, 14, 30, 0, 0, time.UTC)}, nil
	}
	s = startServer(t, config)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }() // the server is closed with the test
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "perl", filepath.Join("testdata", "perl-esme.pl"),
		fmt.Sprint(l.Addr().(*net.TCPAddr).Port), fmt.Sprint(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("perl-esme.pl: %v", err)
	}
	var got perlResult
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("perl-esme.pl wrote %q: %v", out, err)
	}
	want := perlResult{
		Accepted: n, Receipts: n, State: 2, Final: "260212143000000+", Replace: 0x13, Expired: 0x62, Text: "STOP",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Net::SMPP says (-want +got):\n%s", diff)
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range n {
		if want := fmt.Sprintf("%d is your code", i); texts[numbered(i)] != want {
			t.Errorf("message %d reads %q", i, texts[numbered(i)])
		}
	}
}
