package smpp

import (
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

func TestStatusTable(t *testing.T) {
	t.Parallel()
	for class, codes := range map[channel.Class][]Status{
		channel.Temporary:        {0x04, 0x05, 0x08, 0x64},
		channel.Throttled:        {0x14, 0x58},
		channel.Unreachable:      {0x45},
		channel.InvalidRecipient: {0x0B},
		channel.Misconfigured: {0x01, 0x0A, 0x0D, 0x0E, 0x0F, 0x15, 0x43, 0x48, 0x49, 0x50, 0x51, 0x53, 0x62, 0xC0,
			0xC4},
		channel.Unknown: {0x65, 0x66, 0xFE, 0xFF, 0x400, 0x12345678},
	} {
		for _, s := range codes {
			if s.Class() != class {
				t.Errorf("%v (%s) is %v, want %v", s, s.Code(), s.Class(), class)
			}
		}
	}
	if s := Status(0x45); s.Code() != "0x45" || s.Error() != "ESME_RSUBMITFAIL" {
		t.Errorf("0x45 reads %s, %s", s.Code(), s)
	}
	if s := Status(0x411); s.Code() != "0x411" || s.String() != "0x411" {
		t.Errorf("0x411 reads %s, %s", s.Code(), s)
	}
}
