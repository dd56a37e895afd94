package peertest

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp/internal/hostile"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// AnswersHostile sends a PDU over a bound session and expects its answer. Afterwards
// the session stands or is closed.
func AnswersHostile(t *testing.T, p *Peer, octets []byte, want hostile.Answer) {
	t.Helper()
	enquire := wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 11)
	if want.ID == 0 {
		octets = append(octets, enquire...) // after it; if there is an answer, it comes first
	}
	go func() { _, _ = p.Write(octets) }() // the connection may close early
	if want.ID != 0 {
		h := wire.Header{ID: pdu.CommandID(want.ID), Status: want.Status, Seq: want.Seq}
		if f := p.Next(); f.Header != h {
			t.Errorf("answered with %+v, want %+v", f.Header, h)
		}
	}
	if want.Closes {
		if f, err := p.In.Next(); err == nil {
			t.Errorf("then answered with %+v, want the end", f.Header)
		}
		return
	}
	if want.ID != 0 {
		_, _ = p.Write(enquire)
	}
	if f := p.Next(); f.Header != (wire.Header{ID: pdu.EnquireLinkRespID, Seq: 11}) {
		t.Errorf("enquire_link is answered with %+v", f.Header)
	}
}

// AllocatesAtMost expects n rounds to allocate at most perRound octets each. It
// measures allocations and not memory in use: a stopped timer keeps its memory until
// the runtime sweeps it.
func AllocatesAtMost(t *testing.T, n int, perRound uint64, round func()) {
	t.Helper()
	round() // allocates everything made once
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		round()
	}
	runtime.ReadMemStats(&after)
	each := (after.TotalAlloc - before.TotalAlloc) / uint64(n)
	t.Logf("%d octets a round", each)
	if each > perRound {
		t.Errorf("%d octets a round, want at most %d", each, perRound)
	}
}

// Header returns the header of a PDU with that command_length.
func Header(length uint32) []byte {
	header := binary.BigEndian.AppendUint32(nil, length)
	return append(header, wire.AppendEmpty(nil, pdu.DeliverSmID, 0, 9)[4:]...)
}

// Flood sends n PDUs of no known command and expects n generic_nack.
func Flood(t *testing.T, p *Peer, n int) {
	unknown := bytes.Repeat(wire.AppendEmpty(nil, 0x0DEF, 0, 9), n)
	go func() { _, _ = p.Write(unknown) }()
	for range n {
		if f := p.Next(); f.ID != pdu.GenericNackID {
			t.Errorf("answered with %+v", f.Header)
			return
		}
	}
}
