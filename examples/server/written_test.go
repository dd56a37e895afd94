package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A slowCabinet takes its time to put messages of webhooks.
type slowCabinet struct {
	cabinet
	takes time.Duration
}

func (s slowCabinet) put(ctx context.Context, name string, value []byte, life time.Duration) error {
	if strings.HasPrefix(name, "hook/") {
		time.Sleep(s.takes)
	}
	return s.cabinet.put(ctx, name, value, life)
}

// An answer does not go out before the events of its request are in the outbox, unless
// that takes long.
func TestWrittenBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ takes, want time.Duration }{
		{0, 0}, {300 * time.Millisecond, 300 * time.Millisecond}, {time.Minute, writtenWithin},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := startPiped(t, func(c *config) {
				c.Applications[0].Webhooks = []webhook{{Name: "main", URL: "https://[::1]/",
					Secrets: []string{hookSecret}, PrivateNetwork: true}}
			})
			r.s.vault.cabinet = slowCabinet{r.s.vault.cabinet, test.takes}
			begun := time.Now()
			id := r.want(r.shop, "201 pending", "POST", apiPath, annsLogin).body.ID
			took := time.Since(begun)
			names, err := r.s.vault.list(t.Context(), "hook/shop/main/")
			if err != nil {
				t.Fatal(err)
			}
			if took != test.want || test.takes < writtenWithin && len(names) != 2 {
				t.Errorf("%v: the answer came after %v, with %d events in the outbox", test.takes, took, len(names))
			}
			begun = time.Now()
			r.want(r.shop, "200 verified", "POST", apiPath+"/"+id+"/check", checkBody(r.people.read("+447912345601")))
			if took := time.Since(begun); took != test.want {
				t.Errorf("%v: the answer to the code came after %v", test.takes, took)
			}
		})
	}
}
