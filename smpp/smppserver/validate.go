package smppserver

import (
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// validate checks c and fills in its defaults.
func (c *Config) validate() error {
	v := transport.Validate("smppserver: Config.")
	return v.Steps(c.validateCallbacks, c.validateTimes, c.validateLimits, c.validateTLS)
}

func (c *Config) validateCallbacks(v *transport.Validator) {
	v.Check(c.Authenticate != nil, "Authenticate", "is required")
	v.Check(c.Handler != nil || c.AsyncHandler != nil, "Handler", "is required, or AsyncHandler instead of it")
	v.Check(c.Handler == nil || c.AsyncHandler == nil, "Handler", "set together with AsyncHandler")
	v.Check(c.Alphabet <= sms.Latin1, "Alphabet", "unknown encoding")
	v.Error("SystemID", wire.CheckCString(c.SystemID, wire.MaxSystemID))
	c.Allow = slices.Clone(c.Allow)
	for _, p := range c.Allow {
		v.Check(p.IsValid(), "Allow", "holds an invalid prefix")
	}
	v.Logger(&c.Logger)
}

func (c *Config) validateTimes(v *transport.Validator) {
	v.Duration("BlockFor", &c.BlockFor, 15*time.Minute)
	v.Duration("HandlerTimeout", &c.HandlerTimeout, 30*time.Second)
	v.Duration("PreBindTimeout", &c.PreBindTimeout, 30*time.Second)
	v.Duration("InactivityTimeout", &c.InactivityTimeout, 90*time.Second)
	v.Duration("MaxSession", &c.MaxSession, 24*time.Hour)
	v.Duration("UnbindTimeout", &c.UnbindTimeout, 5*time.Second)
	v.Duration("WriteTimeout", &c.WriteTimeout, 10*time.Second)
	v.Duration("ReceiptTimeout", &c.ReceiptTimeout, 10*time.Second)
	v.Duration("ReceiptRetry", &c.ReceiptRetry, 30*time.Second)
	v.Duration("ReceiptLife", &c.ReceiptLife, time.Hour)
}

func (c *Config) validateLimits(v *transport.Validator) {
	c.MaxBindFailures = max(c.MaxBindFailures, -1)
	v.Int("MaxBindFailures", &c.MaxBindFailures, -1, 5, 1000)
	v.Int("Window", &c.Window, 1, 100, 100_000)
	v.Int("MaxMessage", &c.MaxMessage, 1, 512, 0xFFFF)
	v.Int("MaxConnections", &c.MaxConnections, 1, 1000, 1_000_000)
	v.Int("MaxUnbound", &c.MaxUnbound, 1, max(c.MaxConnections/10, 4), 1_000_000)
	v.Int("ReceiptWindow", &c.ReceiptWindow, 1, 100, maxPending)
	v.Int("ReceiptAttempts", &c.ReceiptAttempts, 1, 5, 1000)
	v.Int("ReceiptQueue", &c.ReceiptQueue, 1, 10_000, 10_000_000)
}

func (c *Config) validateTLS(v *transport.Validator) {
	if c.DangerouslyPlaintext {
		v.Check(c.TLS == nil, "DangerouslyPlaintext", "set together with TLS")
		return
	}
	c.TLS = v.ServerTLS("TLS", c.TLS)
}
