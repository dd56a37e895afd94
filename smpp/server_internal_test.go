package smpp

import (
	"errors"
	"fmt"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

// TestStatusOf: what is told never promises more about a message than the
// error's class does.
func TestStatusOf(t *testing.T) {
	t.Parallel()
	wrong := submitError(channel.Temporary, refused("smpp: bind_transceiver", StatusInvalidPassword))
	notBound := refused("smpp: bind_transceiver", StatusInvalidPassword)
	for _, tt := range []struct {
		name string
		err  error
		want Status
	}{
		{"none", nil, StatusOK},
		{"an error", errors.New("broken"), StatusUnknownError},
		{"a Status", StatusInvalidMsgLength, StatusInvalidMsgLength},
		{"a Status, wrapped", fmt.Errorf("front: %w", StatusInvalidPassword), StatusInvalidPassword},
		{"ESME_ROK", StatusOK, StatusUnknownError},
		{"a class", &channel.Error{Class: channel.Throttled}, StatusThrottled},
		{"a refused submit_sm", refused(opSubmit, StatusQueueFull), StatusQueueFull},
		{"a refused part after others", partly(refused(opSubmit, StatusThrottled), 1, 2), StatusUnknownError},
		{"a refused bind, misconfigured", notBound, StatusSystemError},
		{"a refused bind, temporary", wrong, StatusSystemError},
	} {
		if got := StatusOf(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
