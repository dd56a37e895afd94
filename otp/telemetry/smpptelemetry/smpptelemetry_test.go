package smpptelemetry

import (
	"errors"
	"maps"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

func TestCount(t *testing.T) {
	t.Parallel()
	refused := &channel.Error{Class: channel.Misconfigured, Op: "smpp: bind_transceiver", Code: "0x0E",
		Err: smpp.StatusInvalidPassword}
	for name, row := range map[string]struct {
		sessions []smpp.Session
		want     map[key]int64
	}{
		"none": {nil, map[key]int64{}},
		"each state": {[]smpp.Session{{Bound: true}, {Bound: true}, {}, {Err: refused},
			{Err: &channel.Error{Class: channel.Temporary, Err: errors.New("dial: refused")}}},
			map[key]int64{{"bound", "sender"}: 2, {"connecting", "sender"}: 2, {"refused", "sender"}: 1}},
		"a pair that has lost its sender": {[]smpp.Session{{Receiver: true, Bound: true}, {Err: errors.New("EOF")}},
			map[key]int64{{"bound", "receiver"}: 1, {"connecting", "receiver"}: 0, {"refused", "receiver"}: 0,
				{"bound", "sender"}: 0, {"connecting", "sender"}: 1, {"refused", "sender"}: 0}},
		"standby": {[]smpp.Session{{Standby: true}, {Standby: true, Bound: true}},
			map[key]int64{{"bound", "sender"}: 1, {"connecting", "sender"}: 0, {"refused", "sender"}: 0}},
	} {
		if got := count(row.sessions); !maps.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
