package smppserver_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestStatusOf: what is told never promises more about a message than the
// error's class does.
func TestStatusOf(t *testing.T) {
	t.Parallel()
	refused := func(s smpp.Status) *channel.Error {
		return &channel.Error{Class: s.Class(), Op: "smpp: submit_sm", Code: s.Code(), Err: s}
	}
	notBound := &channel.Error{
		Class: channel.Misconfigured, Op: "smpp: bind_transceiver", Code: "0x0E", Err: smpp.StatusInvalidPassword,
	}
	within := func(class channel.Class, code string, err error) error {
		return &channel.Error{Class: class, Op: "smpp: submit_sm", Code: code, Err: err}
	}
	for _, tt := range []struct {
		name string
		err  error
		want smpp.Status
	}{
		{"none", nil, smpp.StatusOK},
		{"an error", errors.New("broken"), smpp.StatusUnknownError},
		{"a smpp.Status", smpp.StatusInvalidMsgLength, smpp.StatusInvalidMsgLength},
		{"a smpp.Status, wrapped", fmt.Errorf("front: %w", smpp.StatusInvalidPassword), smpp.StatusInvalidPassword},
		{"ESME_ROK", smpp.StatusOK, smpp.StatusUnknownError},
		{"a class", &channel.Error{Class: channel.Throttled}, smpp.StatusThrottled},
		{"a refused submit_sm", refused(smpp.StatusQueueFull), smpp.StatusQueueFull},
		{"a refused part after others", within(channel.Unknown, "0x58", refused(smpp.StatusThrottled)),
			smpp.StatusUnknownError},
		{"a refused bind, misconfigured", notBound, smpp.StatusSystemError},
		{"a refused bind, temporary", within(channel.Temporary, "", notBound), smpp.StatusSystemError},
	} {
		if got := smppserver.StatusOf(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
