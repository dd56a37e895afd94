package smtp

import "github.com/otpcourier/otpcourier/channel"

// envelopeFrom returns the address that bounces of m go to.
func (s *settings) envelopeFrom(*channel.Message) string { return s.envelope }
