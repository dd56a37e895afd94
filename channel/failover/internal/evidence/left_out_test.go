package evidence

import (
	"fmt"
	"testing"
	"time"
)

// Of more routes than a value has room for, none is doubted because a process sees only
// its own share of the verifications of those left out.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	wards := make([]*ward, 4)
	for i := range wards {
		wards[i] = newWard(func(p *Params) { p.Lag = 1 })
		wards[i].Keep()
	}
	values := map[string][]byte{}
	type message struct {
		route string
		at    time.Time
	}
	var open []message
	for n := range 8000 {
		now := epoch.Add(time.Duration(n) * time.Second / 10)
		for _, w := range wards {
			w.now = now
		}
		m := message{fmt.Sprintf("carrier-%02d", n%24), now}
		wards[n%4].Sent(now, "GB", m.route)
		open = append(open, m)
		if k := n - 200; k >= 0 && k*7%10 < 8 {
			wards[(k/4)%4].Verified(now, "GB", open[k].route, open[k].at)
		}
		if n%50 == 0 {
			for _, w := range wards {
				for _, in := range []string{"GB", everyRegion} {
					values[in] = w.Merge(now, in, values[in], w.Take(in), 4096, 7)
					if err := w.Replace(now, in, values[in]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	cells, err := decode(values[everyRegion], wards[0].slot)
	if err != nil || len(cells) == 24 {
		t.Fatalf("%d routes, %v", len(cells), err)
	}
	t.Log(len(cells), "routes have room")
	for i, w := range wards {
		for _, r := range w.Report(w.now) {
			if r.Loss > 0.1 {
				t.Errorf("process %d doubts %s in %s: %.2f", i, r.Route, r.Region, r.Loss)
			}
		}
	}
}
