package peertest

import (
	"crypto/tls"
	"fmt"
	"slices"
	"testing"
)

// secrets returns a certificate for 127.0.0.1 and a configuration that trusts
// it, or nil for both.
func secrets(t *testing.T, secure bool) (server, client *tls.Config) {
	t.Helper()
	if !secure {
		return nil, nil
	}
	server, client = TLS(t)
	client.ServerName = "127.0.0.1"
	return server, client
}

// Chunks cuts b, which begins at octet from of a stream.
type Chunks func(b []byte, from int) [][]byte

// EachSplit runs f for a stream of that many octets: cut into two at every
// octet, and into single octets; in plaintext, and with a TLS record for each
// piece.
func EachSplit(t *testing.T, total int, f func(t *testing.T, server, client *tls.Config, chunks Chunks)) {
	for _, secure := range []bool{false, true} {
		server, client := secrets(t, secure)
		for cut := range total + 1 {
			t.Run(fmt.Sprintf("TLS %v/%d", secure, cut), func(t *testing.T) {
				t.Parallel()
				f(t, server, client, func(b []byte, from int) [][]byte {
					if cut == total { // the last case: one by one
						return slices.Collect(slices.Chunk(b, 1))
					}
					at := min(max(cut-from, 0), len(b))
					return [][]byte{b[:at], b[at:]}
				})
			})
		}
	}
}
