package smpp_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

// startNetSMPP starts Net::SMPP as SMSC, over plain TCP, and stops it with the test.
// Without perl or the module the test is skipped, but fails under
// OTPCOURIER_REAL=require.
func startNetSMPP(t *testing.T) *nodeSMSC {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "perl", "-MNet::SMPP", "-e", "1").Run(); err != nil {
		reason := fmt.Sprintf("Net::SMPP is not there (apt-get install libnet-smpp-perl): %v", err)
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	cmd := exec.Command("perl", filepath.Join("testdata", "net-smpp-smsc.pl"))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &nodeSMSC{Messages: make(chan nodeMessage, 1000), Answers: make(chan nodeMessage, 1000)}
	port := make(chan int, 1)
	var wg sync.WaitGroup
	wg.Go(func() { n.listen(bufio.NewScanner(stdout), port) })
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		wg.Wait()
		_ = cmd.Wait()
	})
	p, ok := <-port
	if !ok {
		t.Fatal("net-smpp-smsc.pl does not listen")
	}
	n.Addr = fmt.Sprintf("127.0.0.1:%d", p)
	return n
}

// TestRealNetSMPPClient submits to Debian's Net::SMPP, whose ids are hexadecimal in
// responses and decimal in receipts, and matches every receipt.
func TestRealNetSMPPClient(t *testing.T) {
	t.Parallel()
	smsc := startNetSMPP(t)
	got := newReceipts()
	c := newClient(t, smpp.Config{
		Addr: smsc.Addr, DangerouslyPlaintext: true, SystemID: "bank", Password: "secret", Sender: "MyBank",
		SubmitIDs: smpp.IDHex, ReceiptIDs: smpp.IDDecimal, Window: 20, Receipt: got.handle,
	})
	const n = 200
	sent := sendAll(t, c, n, func(i int) string { return fmt.Sprintf("%06d is your code", i) })
	for range n {
		m := receive(t, smsc.Messages)
		text, err := hex.DecodeString(m.UDH)
		if err != nil || len(text) != len("000000 is your code") || m.From != "MyBank" || m.Registered != 1 {
			t.Errorf("Net::SMPP read %q of %+v", text, m)
		}
		if a := receive(t, smsc.Answers); a.Status != 0 {
			t.Errorf("a receipt was answered with %#x", a.Status)
		}
	}
	for _, r := range got.wait(t, n) {
		if !sent[r.ProviderID] || r.State != channel.Delivered {
			t.Errorf("receipt %+v matches nothing", r)
		}
		delete(sent, r.ProviderID)
	}
	if len(sent) != 0 || c.State().Total.Unmatched != 0 {
		t.Errorf("%d ids without a receipt", len(sent))
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
