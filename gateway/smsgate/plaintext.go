package smsgate

import (
	"github.com/otpcourier/otpcourier/channel"
)

var _ channel.Plaintexter = (*Channel)(nil)

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Channel) Plaintext() bool {
	return c.config.DangerouslyPlaintext
}
