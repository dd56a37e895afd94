package smsgate

import (
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

func TestFailure(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		word, reason string
		class        channel.Class
		code         string
	}{
		{"Failed", "", channel.Unreachable, "Failed"},
		{"Failed", "could not reach +19162255887", channel.Unreachable, "Failed"},
		{"Failed", "Send result: RESULT_ERROR_GENERIC_FAILURE", channel.Unreachable, "RESULT_ERROR_GENERIC_FAILURE"},
		{"Failed", "RESULT_ERROR_LIMIT_EXCEEDED 582037", channel.Throttled, "RESULT_ERROR_LIMIT_EXCEEDED"},
		{"Failed", "RESULT_ERROR_NO_SERVICE", channel.Temporary, "RESULT_ERROR_NO_SERVICE"},
		{"Failed", "RESULT_ERROR_RADIO_OFF", channel.Temporary, "RESULT_ERROR_RADIO_OFF"},
		{"Failed", "RESULT_ERROR_SHORT_CODE_NOT_ALLOWED", channel.Misconfigured, "RESULT_ERROR_SHORT_CODE_NOT_ALLOWED"},
		{"Failed", "TTL expired", channel.Expired, "Failed"},
		{"Failed", "message expired", channel.Expired, "Failed"},
		{"Failed", "throttled", channel.Unreachable, "Failed"},
		{"Failed", "a little busy", channel.Unreachable, "Failed"},
		{"Cancelled", "", channel.Expired, "Cancelled"},
	} {
		if class, code := failure(row.word, row.reason); class != row.class || code != row.code {
			t.Errorf("%s %q: %v %s, want %v %s", row.word, row.reason, class, code, row.class, row.code)
		}
	}
}
