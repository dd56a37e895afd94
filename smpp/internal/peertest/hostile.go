package peertest

import (
	"runtime"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp/internal/hostile"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// AnswersHostile sends a PDU over a bound session and wants its answer: after
// which the session stands, or is closed.
func AnswersHostile(t *testing.T, p *Peer, octets []byte, want hostile.Answer) {
	t.Helper()
	enquire := wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 11)
	if want.ID == 0 {
		octets = append(octets, enquire...) // behind it; after an answer it waits for that
	}
	go func() { _, _ = p.Write(octets) }() // it may be closed before all is read
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

// AllocatesAtMost wants n rounds to allocate at most perRound octets each. What is held
// in the end is no measure: a stopped timer keeps what it knows until the
// runtime sweeps it.
func AllocatesAtMost(t *testing.T, n int, perRound uint64, round func()) {
	t.Helper()
	round() // what is made once
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
