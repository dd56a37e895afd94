// Package transport is for authors of channels that talk over a network. It
// holds the parts that such channels share: the validation of a Config, the
// choice of TLS, and an orderly end.
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
package transport
