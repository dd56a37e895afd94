package smpp

import (
	"github.com/otpcourier/otpcourier/channel"
)

var _ channel.Plaintexter = (*Client)(nil)

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Client) Plaintext() bool {
	return c.config.DangerouslyPlaintext
}
