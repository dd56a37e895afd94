package findcode_test

import (
	"os"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/sms/findcode"
)

func TestPerturb(t *testing.T) {
	for _, file := range strings.Fields(os.Getenv("FILES")) {
		for _, code := range []string{"7304", "0049", "1405", "2359", "2026", "73041", "730416", "112233", "301126", "7304160", "20261130", "73041604", "0712345678", "7304160455"} {
			right, all, wrong := 0, 0, 0
			var misses []string
			for _, s := range samples(t, file) {
				if s.code == "" || strings.Count(s.text, s.code) != 1 {
					continue
				}
				text := strings.Replace(s.text, s.code, code, 1)
				got, _ := findcode.In(text)
				all++
				if got == code {
					right++
				} else {
					misses = append(misses, got+" <- "+text)
					if got != "" {
						wrong++
					}
				}
			}
			t.Logf("%s: %s %d/%d wrong %d", file, code, right, all, wrong)
			if code == os.Getenv("SHOW") {
				for _, m := range misses {
					t.Logf("    %q", m)
				}
			}
		}
	}
}
