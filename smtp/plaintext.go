package smtp

import (
	"slices"

	"github.com/otpcourier/otpcourier/channel"
)

var _ channel.Plaintexter = (*Channel)(nil)

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Channel) Plaintext() bool {
	return slices.ContainsFunc(c.settings.relays, func(r Relay) bool { return r.DangerouslyPlaintext })
}
