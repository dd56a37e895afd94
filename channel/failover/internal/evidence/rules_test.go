package evidence

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A ward is an Estimator with a clock that feed moves on.
type ward struct {
	*Estimator
	now    time.Time
	routes []channel.Route
	prices []float64
	buf    [MaxRoutes]uint8
}

func newWard(change func(*Params)) *ward {
	p := Defaults()
	if change != nil {
		change(&p)
	}
	w := &ward{Estimator: New(p), now: epoch}
	for _, name := range []string{"a", "b", "c"} {
		w.routes = append(w.routes, channel.Route{Name: name, Address: channel.Phone})
	}
	return w
}

// feed sends n messages, one every 20 s. Of ten, good are verified, each after 20 s.
func (w *ward) feed(in, route string, n, good int) {
	for i := range n {
		sent := w.now
		w.Sent(sent, in, route)
		w.now = w.now.Add(20 * time.Second)
		if i*7%10 < good {
			w.Verified(w.now, in, route, sent)
		}
	}
}

// each calls f for n messages by a route, one every 20 s, 20 s after each.
func (w *ward) each(in, route string, n int, f func(sent time.Time)) {
	for range n {
		sent := w.now
		w.Sent(sent, in, route)
		w.now = w.now.Add(20 * time.Second)
		f(sent)
	}
}

// until counts the messages that f is called for until route a is not the first.
func (w *ward) until(in string, f func(sent time.Time)) int {
	n := 0
	for ; n < 60 && strings.HasPrefix(w.order(in), "a"); n++ {
		w.each(in, "a", 1, f)
	}
	return n
}

func (w *ward) rest(d time.Duration) { w.now = w.now.Add(d) }

func (w *ward) order(in string) string {
	a := w.Order(w.now, &Question{Region: in, Routes: w.routes, Prices: w.prices, Kinds: channel.Phone}, &w.buf)
	var names []string
	for _, i := range a.Order {
		names = append(names, w.routes[i].Name)
	}
	return strings.Join(names, " ")
}

func (w *ward) report(in, route string) Report {
	for _, r := range w.Report(w.now) {
		if r.Region == in && r.Route == route {
			return r
		}
	}
	return Report{}
}

func nothing(time.Time) {}

func (w *ward) want(t *testing.T, in, order string) {
	t.Helper()
	if got := w.order(in); got != order {
		t.Errorf("%s: by %s, want %s: %+v", in, got, order, w.Report(w.now))
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(*testing.T){
		"without evidence the given order": func(t *testing.T) {
			newWard(nil).want(t, "GB", "a b c")
		},
		"a worse route is passed": func(t *testing.T) {
			w := newWard(nil)
			for range 20 {
				w.feed("GB", "a", 20, 6)
				w.feed("GB", "b", 20, 8)
			}
			w.rest(time.Hour)
			w.want(t, "GB", "b c a")
		},
		"a route that is better by less than the margin does not pass": func(t *testing.T) {
			w := newWard(func(p *Params) { p.Margin = 0.3 })
			for range 20 {
				w.feed("GB", "a", 20, 6)
				w.feed("GB", "b", 20, 8)
			}
			w.rest(time.Hour)
			w.want(t, "GB", "a b c")
		},
		"evidence from elsewhere counts here": func(t *testing.T) {
			w := newWard(nil)
			for range 20 {
				w.feed("GB", "a", 20, 5)
				w.feed("GB", "b", 20, 8)
			}
			w.rest(time.Hour)
			w.want(t, "FR", "b c a")
		},
		"a country whose people verify little is no fault of a route": func(t *testing.T) {
			w := newWard(nil)
			for range 20 {
				w.feed("PK", "a", 20, 4)
				w.feed("GB", "b", 20, 9)
				w.feed("PK", "b", 20, 4)
				w.feed("GB", "a", 20, 9)
			}
			w.rest(time.Hour)
			w.want(t, "PK", "a b c")
			w.want(t, "GB", "a b c")
		},
		"evidence halves": func(t *testing.T) {
			w := newWard(nil)
			w.feed("GB", "a", 100, 7)
			w.rest(time.Hour)
			before := w.report("GB", "a").Evidence
			w.rest(12 * time.Hour)
			if after := w.report("GB", "a").Evidence; after < 0.49*before || after > 0.51*before {
				t.Errorf("%v messages, and %v after a half-life", before, after)
			}
		},
		"a price counts": func(t *testing.T) {
			w := newWard(nil)
			w.prices = []float64{0.2, 0.1, 0.15}
			w.want(t, "GB", "b c a")
		},
		"a price that is no number is of no account": func(t *testing.T) {
			w := newWard(nil)
			w.prices = []float64{0, math.NaN(), 0}
			w.want(t, "GB", "a b c")
			w.prices = []float64{0, 0.1, 0}
			w.want(t, "GB", "a c b")
		},
		"kinds of address keep their places": func(t *testing.T) {
			w := newWard(nil)
			w.routes[1].Address = channel.Email
			w.feed("GB", "a", 40, 8)
			w.feed("GB", "a", 20, 0)
			w.want(t, "GB", "c b a")
		},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
	}
}

func TestRulesOfLoss(t *testing.T) {
	t.Parallel()
	usual := func(change func(*Params)) *ward {
		w := newWard(change)
		w.feed("GB", "a", 200, 8)
		w.feed("FR", "a", 200, 8)
		return w
	}
	for name, f := range map[string]func(*testing.T){
		"silence is noticed within few messages, however long all went well": func(t *testing.T) {
			w := usual(nil)
			w.feed("GB", "a", 2000, 8)
			n := w.until("GB", func(time.Time) { w.feed("FR", "a", 2, 10) })
			if n < 4 || n > 16 {
				t.Errorf("after %d messages", n)
			}
			w.want(t, "FR", "a b c")
		},
		"verifications keep a route": func(t *testing.T) {
			w := usual(nil)
			n := w.until("GB", func(sent time.Time) { w.Verified(w.now, "GB", "a", sent) })
			if n < 60 {
				t.Errorf("left after %d", n)
			}
		},
		"a late verification counts as none": func(t *testing.T) {
			w := usual(nil)
			w.each("GB", "a", 60, func(sent time.Time) {
				w.Verified(w.now.Add(-time.Second), "GB", "a", sent.Add(-Slots*Slot))
			})
			if loss := w.report("GB", "a").Loss; loss < 0.5 {
				t.Errorf("loss %v", loss)
			}
		},
		"resends are noticed sooner": func(t *testing.T) {
			silent, asked := usual(nil), usual(nil)
			n := silent.until("GB", nothing)
			if m := asked.until("GB", func(sent time.Time) { asked.Resent(asked.now, "GB", "a", sent) }); m >= n {
				t.Errorf("after %d messages, without resends after %d", m, n)
			}
		},
		"failed receipts are noticed sooner": func(t *testing.T) {
			silent, failed := usual(nil), usual(nil)
			n := silent.until("GB", nothing)
			if m := failed.until("GB", func(sent time.Time) { failed.Failed(failed.now, "GB", "a", sent) }); m >= n {
				t.Errorf("after %d messages, without receipts after %d", m, n)
			}
		},
		"errors are noticed": func(t *testing.T) {
			w := usual(nil)
			for range 12 {
				w.Refused(w.now, "GB", "a")
			}
			w.want(t, "GB", "b c a")
		},
		"a receipt of delivery speaks for nothing": func(t *testing.T) {
			silent, lies := usual(nil), usual(nil)
			n := silent.until("GB", nothing)
			if m := lies.until("GB", func(sent time.Time) { lies.Delivered(lies.now, "GB", "a", sent) }); m != n {
				t.Errorf("after %d messages, without receipts after %d", m, n)
			}
		},
		"lacking receipts of a route that reports are noticed sooner": func(t *testing.T) {
			silent, mute := usual(nil), usual(nil)
			for _, w := range []*ward{silent, mute} {
				for i := range 1500 {
					w.each("GB", "a", 1, func(sent time.Time) {
						if w == mute {
							w.Delivered(w.now, "GB", "a", sent)
						}
						if i%10 < 6 {
							w.Verified(w.now, "GB", "a", sent)
						}
					})
				}
			}
			silent.feed("GB", "a", 3, 0)
			mute.feed("GB", "a", 3, 0)
			if s, m := silent.report("GB", "a").Loss, mute.report("GB", "a").Loss; m < 2*s {
				t.Errorf("loss %v, of a route without receipts %v", m, s)
			}
		},
		"a loss everywhere is noticed everywhere": func(t *testing.T) {
			w := usual(nil)
			for range 15 {
				w.feed("GB", "a", 1, 0)
				w.feed("FR", "a", 1, 0)
			}
			w.want(t, "NG", "b c a")
		},
		"a doubt that nothing confirms goes": func(t *testing.T) {
			w := usual(nil)
			w.until("GB", nothing)
			w.rest(time.Hour)
			w.want(t, "GB", "a b c")
		},
		"a loss is not what the route usually does": func(t *testing.T) {
			w := usual(nil)
			before := w.report("GB", "a").Estimate
			w.feed("GB", "a", 60, 0)
			if after := w.report("GB", "a").Estimate; after < before-0.02 {
				t.Errorf("estimate %v, before the loss %v", after, before)
			}
		},
		"unless it goes on": func(t *testing.T) {
			w := usual(nil)
			before := w.report("GB", "a").Estimate
			w.feed("GB", "a", 1000, 0)
			if after := w.report("GB", "a").Estimate; after > before-0.2 {
				t.Errorf("estimate %v, before the loss %v", after, before)
			}
		},
		"a busy cell needs more messages": func(t *testing.T) {
			w := usual(nil)
			if quiet := w.regions["GB"].cells["a"].floor; quiet <= w.p.Floor || quiet > w.p.Ceiling {
				t.Errorf("floor %v", quiet)
			}
			for range 3000 {
				w.Sent(w.now, "GB", "a")
				w.Verified(w.now.Add(time.Second), "GB", "a", w.now)
				w.rest(time.Second)
			}
			if busy, quiet := w.regions["GB"].cells["a"].floor, w.regions["FR"].cells["a"].floor; busy > quiet-2 {
				t.Errorf("floor %v, and %v where it is quiet", busy, quiet)
			}
		},
		"a route in doubt is probed": func(t *testing.T) {
			w := usual(nil)
			w.until("GB", nothing)
			probes := 0
			for i := range 1000 {
				q := Question{Region: "GB", Routes: w.routes, Kinds: channel.Phone, Draw: mix(uint64(i)), Free: true}
				if a := w.Order(w.now, &q, &w.buf); a.Explored == 0 {
					probes++
				}
			}
			if probes < 50 || probes > 110 {
				t.Errorf("%d of 1000, want about 80", probes)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
	}
}

// Scores that move within the band leave the order as it is.
func TestHysteresis(t *testing.T) {
	t.Parallel()
	changes := func(band float64) (n int) {
		w := newWard(func(p *Params) { p.Band, p.Margin, p.Prior = band, 0, 5 })
		last := ""
		for i := range 400 {
			w.feed("GB", "a", 2, 7+i%2)
			w.feed("GB", "b", 2, 8-i%2)
			if now := w.order("GB"); now != last {
				last = now
				n++
			}
		}
		return n
	}
	if with, without := changes(0.05), changes(0); with > 12 || without < 2*with {
		t.Errorf("the order changes %d times, and %d times without a band", with, without)
	}
}

// The memory is bounded, and beyond the bounds the given order holds.
func TestBounds(t *testing.T) {
	t.Parallel()
	w := newWard(nil)
	w.Keep()
	for i := range 1000 {
		w.Sent(w.now, fmt.Sprint("R", i), "a")
	}
	for i := range 1000 {
		w.Sent(w.now, "R1", fmt.Sprint("r", i))
	}
	if len(w.regions) > maxRegions || len(w.deltas) > maxRegions || len(w.regions["R1"].cells) > MaxRoutes ||
		len(w.deltas["R1"]) > MaxRoutes {
		t.Errorf("%d regions, %d routes", len(w.regions), len(w.regions["R1"].cells))
	}
	w.want(t, "R999", "a b c")
	w.want(t, "R1", "a b c")
}

func BenchmarkOrder(b *testing.B) {
	w := newWard(nil)
	w.routes = append(w.routes, channel.Route{Name: "d", Address: channel.Phone},
		channel.Route{Name: "e", Address: channel.Phone})
	for i := range 20 {
		for _, r := range w.routes {
			w.feed(countryName(i), r.Name, 20, 7)
		}
	}
	for _, r := range w.routes {
		for range Slots * 12 { // every slot is filled
			w.Sent(w.now, "AA", r.Name)
			w.rest(time.Second)
		}
	}
	q := Question{Region: "AA", Routes: w.routes, Kinds: channel.Phone, Free: true}
	b.ReportAllocs()
	for b.Loop() { // each decision after a message by the first route
		q.Draw = mix(q.Draw)
		w.Sent(w.now, "AA", "a")
		w.Order(w.now, &q, &w.buf)
	}
}
