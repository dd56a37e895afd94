package smppserver_test

import (
	"context"
	"crypto/tls"
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

	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestRealNodeSMPPAsClient has node-smpp bind to a Server, plain and over TLS,
// submit 1,000 messages, await as many receipts, and unbind.
func TestRealNodeSMPPAsClient(t *testing.T) {
	peertest.RequireNodeSMPP(t)
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			const n = 1000
			key, cert, _ := peertest.Certificate(t)
			config := serverConfig()
			if secure {
				pair, err := tls.LoadX509KeyPair(cert, key)
				if err != nil {
					t.Fatal(err)
				}
				config.DangerouslyPlaintext, config.TLS = false,
					&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
			}
			var mu sync.Mutex
			texts := map[string]string{}
			acknowledged := 0
			config.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				texts[m.To] = m.Text
				m.Deliver(smppserver.DeliveryReceipt{})
				return "", nil
			}
			config.OnReceipt = func(_ string, _ smppserver.DeliveryReceipt, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					acknowledged++
				}
			}
			got := runNodeESME(t, startServer(t, config), n, map[bool]string{true: cert}[secure])
			want := nodeResult{Accepted: n, Receipts: n}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("node-smpp says (-want +got):\n%s", diff)
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range n {
				if want := fmt.Sprintf("%05d is your code {€}", i); texts[numbered(i)] != want {
					t.Errorf("message %d reads %q", i, texts[numbered(i)])
				}
			}
			if len(texts) != n || acknowledged != n {
				t.Errorf("%d messages, %d receipts acknowledged, want %d of each", len(texts), acknowledged, n)
			}
		})
	}
}

// A nodeResult is what testdata/node-esme.js writes.
type nodeResult struct {
	Bind, Accepted, Refused, Receipts, Unmatched, Unbind int
}

// runNodeESME lets node-smpp submit n messages to s, and waits for its end.
func runNodeESME(t *testing.T, s *smppserver.Server, n int, cert string) (result nodeResult) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }() // the server is closed with the test
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := []string{filepath.Join("testdata", "node-esme.js"), fmt.Sprint(l.Addr().(*net.TCPAddr).Port), fmt.Sprint(n)}
	if cert != "" {
		args = append(args, cert)
	}
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node-esme.js: %v", err)
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("node-esme.js wrote %q: %v", out, err)
	}
	return result
}
