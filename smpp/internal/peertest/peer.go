// Package peertest holds the common parts of the client's and the server's
// tests: a peer on the wire under the test's control, certificates, streams cut
// at every octet, and the rules for both.
package peertest

import (
	"net"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A Peer is one end of a connection. It sends and reads single PDUs, also PDUs
// that no SMSC and no ESME may send.
type Peer struct {
	net.Conn
	In *wire.Reader
}

// New returns a Peer at this end of c.
func New(c net.Conn) Peer { return Peer{Conn: c, In: wire.NewReader(c)} }

// Next returns the next frame, or a frame without an ID at the end of the
// connection.
func (p *Peer) Next() wire.Frame {
	f, err := p.In.Next()
	if err != nil {
		return wire.Frame{}
	}
	return f
}

// Await discards frames until one with the id. It reports whether it came.
func (p *Peer) Await(id pdu.CommandID) (wire.Frame, bool) {
	for {
		f := p.Next()
		if f.ID == id || f.ID == 0 {
			return f, f.ID == id
		}
	}
}

// Drain reads until the connection is closed.
func (p *Peer) Drain() { p.Await(0xFFFFFFFF) }

// Ask sends a frame and returns the next frame.
func (p *Peer) Ask(frame []byte) wire.Frame {
	if _, err := p.Write(frame); err != nil {
		return wire.Frame{}
	}
	return p.Next()
}

// Answer returns the response to f, without a body.
func Answer(f wire.Frame) []byte { return wire.AppendEmpty(nil, f.Response(), 0, f.Seq) }
