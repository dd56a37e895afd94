package smppserver_test

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*smppserver.Config){
		"Authenticate":         func(c *smppserver.Config) { c.Authenticate = nil },
		"Handler":              func(c *smppserver.Config) { c.Handler = nil },
		"TLS":                  func(c *smppserver.Config) { c.DangerouslyPlaintext = false },
		"DangerouslyPlaintext": func(c *smppserver.Config) { c.TLS = &tls.Config{MinVersion: tls.VersionTLS12} },
		"SystemID":             func(c *smppserver.Config) { c.SystemID = strings.Repeat("a", 65) },
		"Window":               func(c *smppserver.Config) { c.Window = -1 },
		"MaxMessage":           func(c *smppserver.Config) { c.MaxMessage = 1 << 16 },
		"PreBindTimeout":       func(c *smppserver.Config) { c.PreBindTimeout = -1 },
		"Allow":                func(c *smppserver.Config) { c.Allow = []netip.Prefix{{}} },
	} {
		c := serverConfig()
		change(&c)
		if _, err := smppserver.New(c); err == nil || !strings.Contains(err.Error(), "smppserver: Config."+field) {
			t.Errorf("%s: error is %v", field, err)
		}
	}
}
