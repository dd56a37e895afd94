package smpp_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	s := smpptest.NewTLSServer(smpptest.Config{})
	defer s.Close()
	wrongName := s.ClientTLS()
	wrongName.ServerName = "smpp.example.com"
	for name, config := range map[string]smpp.Config{
		"system roots": {Addr: s.Addr},
		"other name":   {Addr: s.Addr, TLS: wrongName},
		"without TLS":  {Addr: s.Addr, DangerouslyPlaintext: true},
		"expired roots": {Addr: s.Addr, TLS: &tls.Config{RootCAs: s.ClientTLS().RootCAs,
			Time: func() time.Time { return time.Unix(4e9, 0) }}},
	} {
		c := newClient(t, config)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := c.Ready(ctx); channel.ClassOf(err) != channel.Temporary {
			t.Errorf("%s: Ready: %v", name, err)
		}
	}
	if b := s.Binds(); len(b) != 0 {
		t.Errorf("credentials were sent: %+v", b)
	}
}

// An SMSC of yesterday is refused whatever Config.TLS says.
func TestTLSVersion(t *testing.T) {
	t.Parallel()
	_, _, config := peertest.Certificate(t)
	config.MinVersion = tls.VersionTLS10
	failed := make(chan error, 1)
	c := peers(t, func(p *peer, n int) {
		err := tls.Server(p.Conn, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		if n == 1 {
			failed <- err
		}
	})
	c.DangerouslyPlaintext, c.TLS = false, config
	newClient(t, c)
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "protocol version") &&
		!strings.Contains(err.Error(), "unsupported version") {
		t.Errorf("handshake under TLS 1.1: %v", err)
	}
	if config.MinVersion != tls.VersionTLS10 {
		t.Error("the caller's configuration was changed")
	}
	config.MaxVersion = tls.VersionTLS11
	if _, err := smpp.New(smpp.Config{Addr: c.Addr, TLS: config}); err == nil {
		t.Error("TLS 1.1 as the highest version is accepted")
	}
}
