package smppserver

import (
	"net/netip"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
)

// TestSuspectsAreBounded: of many addresses with failed binds the latest
// are remembered.
func TestSuspectsAreBounded(t *testing.T) {
	t.Parallel()
	g := newBindGuard(1, time.Hour)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range maxSuspects + 1 {
		if !g.begin(t.Context(), addr(i)) {
			t.Fatalf("address %d is blocked", i)
		}
		g.end(addr(i), smpp.StatusInvalidPassword)
	}
	if len(g.known) != maxSuspects || g.order.Len() != maxSuspects {
		t.Errorf("%d and %d are remembered", len(g.known), g.order.Len())
	}
	if g.blocks(addr(0)) || !g.blocks(addr(1)) || !g.blocks(addr(maxSuspects)) {
		t.Error("not the oldest is forgotten")
	}
}
