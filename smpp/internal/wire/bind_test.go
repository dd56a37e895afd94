package wire

import (
	"testing"
	"time"

	"github.com/ajankovic/smpp/pdu"
)

func TestBindRange(t *testing.T) {
	t.Parallel()
	want := Addr{TON: 1, NPI: 1, Digits: "^4479"}
	b, err := AppendBindFor(nil, pdu.BindReceiverID, 1, Bind{SystemID: "bank", Version: 0x34}, want)
	if err != nil {
		t.Fatal(err)
	}
	if got := BindRange(b[HeaderLen:]); got != want {
		t.Errorf("got %+v", got)
	}
	if got := BindRange(b[HeaderLen : len(b)-1]); got != (Addr{}) {
		t.Errorf("of a body that is cut off: %+v", got)
	}
}

func TestAbsoluteTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 12, 16, 30, 5, 999e6, time.FixedZone("", 2*3600))
	if got := AbsoluteTime(at); got != "260212143005000+" {
		t.Errorf("got %s", got)
	}
}
