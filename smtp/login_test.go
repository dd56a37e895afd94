package smtp_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script map[string]string
		class  channel.Class
	}{
		"odd LOGIN prompts": {map[string]string{
			"EHLO+": "250-fake\r\n250 AUTH LOGIN\r\n",
			"AUTH":  "334 VXNlciBOYW1lAA==\r\n", "Y29kZXM=": "334 UGFzc3dvcmQA\r\n",
			"Y29ycmVjdCBob3JzZQ==": "235 ok\r\n",
		}, 0},
		"prompts without text": {map[string]string{
			"EHLO+": "250-fake\r\n250 AUTH LOGIN\r\n",
			"AUTH":  "334\r\n", "Y29kZXM=": "334 \n", "Y29ycmVjdCBob3JzZQ==": "235\n",
		}, 0},
		"asks for ever": {map[string]string{
			"EHLO+": "250-fake\r\n250 AUTH LOGIN\r\n",
			"AUTH":  "334 VXNlcm5hbWU6\r\n", "Y29kZXM=": "334 UGFzc3dvcmQ6\r\n",
			"Y29ycmVjdCBob3JzZQ==": "334 UGFzc3dvcmQ6\r\n",
		}, channel.Misconfigured},
		"nothing we know":      {map[string]string{"EHLO+": "250-fake\r\n250 AUTH GSSAPI\r\n"}, channel.Misconfigured},
		"not offered":          {map[string]string{"EHLO+": "250 fake\r\n"}, channel.Misconfigured},
		"refused, then silent": {map[string]string{"AUTH": "535 5.7.8 no\r\n", "*": stall}, channel.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(maps.Clone(tt.script))
				begun := time.Now()
				_, err := sendTo(t.Context(), t, f, c)
				if tt.class == 0 && err != nil || tt.class != 0 && (err == nil || err.Class != tt.class) {
					t.Errorf("error %v, want class %v", err, tt.class)
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("took %v", took)
				}
				if slices.Contains(f.commands(), "MAIL+") != (tt.class == 0) {
					t.Errorf("commands %v", f.commands())
				}
			})
		})
	}
}
