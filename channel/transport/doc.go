// Package transport is for authors of channels that talk over a network. It
// holds what such channels have in common: how a Config is validated, which TLS
// is good enough, and how a channel ends.
//
// A constructor validates its Config field by field and returns the first error:
//
//	v := transport.Validate("carrier: Config.")
//	v.Check(c.Sender != "", "Sender", "is required")
//	v.Duration("Timeout", &c.Timeout, 15*time.Second)
//	v.Int("Window", &c.Window, 1, 10, 1000)
//	c.TLS = v.ClientTLS("TLS", c.TLS, host)
//	if err := v.Err(); err != nil {
//		return nil, err
//	}
//
// A [Lifecycle] admits the calls of a channel until it is closed, and waits for
// the calls under way.
//
// The channels of this module live in folders beside each other. A package that
// all of them use, and no importer of this module, would need a folder of its
// own at the top level, which this module does not have.
package transport
