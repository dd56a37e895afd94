package smpp

import "context"

// SetLookupHost replaces the DNS of a Config.
func SetLookupHost(c *Config, f func(ctx context.Context, host string) ([]string, error)) {
	c.lookupHost = f
}
