package smpp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// New checks the configuration and starts to connect in the background. An
// error names the field. Close or Shutdown the client in the end.
func New(c Config) (*Client, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	return start(c), nil
}

// complete validates c and sets its defaults.
func (c *Config) complete() error {
	for _, check := range []func() error{c.completeBinds, c.completeTLS, c.checkStrings, c.completeMessages, c.completeTimes} {
		if err := check(); err != nil {
			return err
		}
	}
	if c.Window < 0 || c.Window > 10000 {
		return fmt.Errorf("smpp: Config.Window: %d is not within 0..10000", c.Window)
	}
	if c.TPS < 0 || c.TPS > 100000 {
		return fmt.Errorf("smpp: Config.TPS: %d is not within 0..100000", c.TPS)
	}
	if c.Window == 0 {
		c.Window = 10
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

const maxBinds = 100

func (c *Config) completeBinds() error {
	c.Addrs = slices.Clone(c.Addrs)
	for i, addr := range c.addrs() {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			if i == 0 {
				return fmt.Errorf("smpp: Config.Addr: %w", err)
			}
			return fmt.Errorf("smpp: Config.Addrs[%d]: %w", i-1, err)
		}
	}
	hosts := 1 + len(c.Addrs)
	if c.Binds == 0 {
		c.Binds = hosts
	}
	if c.Binds < hosts || c.Binds > maxBinds {
		return fmt.Errorf("smpp: Config.Binds: %d is not within %d (a bind to each address) and %d", c.Binds, hosts, maxBinds)
	}
	switch c.Version {
	case 0:
		c.Version = wire.Version34
	case wire.Version34, version50:
	default:
		return fmt.Errorf("smpp: Config.Version: 0x%02X is neither 0x34 nor 0x50", c.Version)
	}
	if c.Credentials != nil && (c.SystemID != "" || c.Password != "") {
		return errors.New("smpp: Config.Credentials: set together with SystemID or Password")
	}
	return nil
}

// version50 is SMPP 5.0 as interface_version.
const version50 = 0x50

func (c *Config) completeTimes() error {
	for _, f := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"ResponseTimeout", &c.ResponseTimeout, 10 * time.Second},
		{"BindTimeout", &c.BindTimeout, 15 * time.Second},
		{"BindWait", &c.BindWait, 5 * time.Second},
		{"WriteTimeout", &c.WriteTimeout, 10 * time.Second},
		{"EnquireLink", &c.EnquireLink, 30 * time.Second},
		{"EnquireLinkTimeout", &c.EnquireLinkTimeout, 10 * time.Second},
		{"ReconnectMin", &c.ReconnectMin, 500 * time.Millisecond},
		{"ReconnectMax", &c.ReconnectMax, max(30*time.Second, c.ReconnectMin)},
		{"RefusedWait", &c.RefusedWait, 15 * time.Minute},
		{"MaxSession", &c.MaxSession, 24*time.Hour - 5*time.Minute},
	} {
		if *f.v < 0 {
			return fmt.Errorf("smpp: Config.%s: %v is negative", f.name, *f.v)
		}
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if c.ReconnectMax < c.ReconnectMin {
		return fmt.Errorf("smpp: Config.ReconnectMax: %v is less than ReconnectMin", c.ReconnectMax)
	}
	return nil
}

func (c *Config) checkStrings() error {
	for _, f := range []struct {
		field, value string
		most         int
	}{
		{"SystemID", c.SystemID, wire.MaxSystemID},
		{"Password", c.Password, wire.MaxPassword},
		{"SystemType", c.SystemType, wire.MaxSystemType},
		{"ServiceType", c.ServiceType, wire.MaxServiceType},
	} {
		if err := wire.CheckCString(f.field, f.value, f.most); err != nil {
			return fmt.Errorf("smpp: Config.%w", err)
		}
	}
	if _, err := source(c.Sender, c.SenderNumbering); err != nil {
		return fmt.Errorf("smpp: Config.Sender: %w", err)
	}
	for prefix, sender := range c.Senders {
		if !isPrefix(prefix) {
			return fmt.Errorf("smpp: Config.Senders: %q is not the beginning of an international number", prefix)
		}
		if _, err := source(sender, c.SenderNumbering); err != nil {
			return fmt.Errorf("smpp: Config.Senders[%q]: %w", prefix, err)
		}
	}
	if c.SubmitIDs > IDDecimal || c.ReceiptIDs > IDDecimal {
		return errors.New("smpp: Config.SubmitIDs or ReceiptIDs: unknown IDFormat")
	}
	return nil
}

// isPrefix reports whether s is "+" and 1 to 15 digits.
func isPrefix(s string) bool {
	return len(s) > 1 && len(s) <= 16 && s[0] == '+' && strings.Trim(s[1:], "0123456789") == ""
}

// completeMessages checks what is said of messages, and keeps copies.
func (c *Config) completeMessages() error {
	c.Codings, c.Classes, c.Senders = slices.Clone(c.Codings), maps.Clone(c.Classes), maps.Clone(c.Senders)
	for i, coding := range c.Codings {
		if coding.Encoding > sms.Latin1 {
			return fmt.Errorf("smpp: Config.Codings[%d]: unknown encoding", i)
		}
	}
	if c.Long > LongPayload {
		return errors.New("smpp: Config.Long: unknown LongForm")
	}
	if c.Priority > 3 {
		return fmt.Errorf("smpp: Config.Priority: %d is not within 0..3", c.Priority)
	}
	for status, class := range c.Classes {
		if status == StatusOK || !class.Valid() {
			return fmt.Errorf("smpp: Config.Classes[%s]: a success has no class, or there is no such class", status.Code())
		}
	}
	var err error
	if c.tlvs, err = appendTLVs(nil, c.TLVs); err != nil {
		return fmt.Errorf("smpp: Config.TLVs: %w", err)
	}
	return nil
}

// completeTLS sets hostTLS.
func (c *Config) completeTLS() error {
	c.hostTLS = make([]*tls.Config, 1+len(c.Addrs))
	if c.DangerouslyPlaintext {
		if c.TLS != nil {
			return errors.New("smpp: Config.DangerouslyPlaintext: set together with TLS")
		}
		return nil
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.TLS.MaxVersion != 0 && c.TLS.MaxVersion < tls.VersionTLS12 {
		return errors.New("smpp: Config.TLS: MaxVersion is below TLS 1.2")
	}
	for i, addr := range c.addrs() {
		t := c.TLS.Clone()
		t.MinVersion = max(t.MinVersion, tls.VersionTLS12)
		if t.ServerName == "" {
			t.ServerName, _, _ = net.SplitHostPort(addr) // it was checked
		}
		c.hostTLS[i] = t
	}
	return nil
}
