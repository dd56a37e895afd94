package smtp

import (
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// Keys are kept from login to login, but not without a bound.
func TestSCRAMKeysAreBounded(t *testing.T) {
	t.Parallel()
	r := &relay{Relay: Relay{Username: "codes", Password: "correct horse"}}
	logins := make(map[*scram.Client]int)
	for range 3 * maxSCRAMLogins {
		if _, err := r.scramLogin(); err != nil {
			t.Fatal(err)
		}
		logins[r.scram.client]++
	}
	if len(logins) != 3 || logins[r.scram.client] != maxSCRAMLogins {
		t.Errorf("%d sets of keys for %d logins", len(logins), 3*maxSCRAMLogins)
	}
}

func TestSCRAMExceedsLimits(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]bool{
		"r=n,s=c2FsdA==,i=4096":                          false,
		"r=n,s=c2FsdA==,i=200000":                        false,
		"r=n,s=c2FsdA==,i=200001":                        true,
		"r=n,s=c2FsdA==,i=99999999999999999999":          true,
		"r=n,s=c2FsdA==,i=":                              true,
		"v=c2lnbmF0dXJl":                                 false,
		"r=n,s=" + strings.Repeat("A", 1022) + ",i=4096": false,
		"r=n,s=" + strings.Repeat("A", 1023) + ",i=4096": true,
	} {
		if got := exceedsLimits(challenge); got != want {
			t.Errorf("%q: %v", challenge, got)
		}
	}
}
