package evidence

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// fixed is the given order.
type fixed struct{ n int }

func (f fixed) order(time.Time, *person, int) ([]int, int) {
	order := make([]int, f.n)
	for i := range order {
		order[i] = i
	}
	return order, -1
}
func (fixed) tell(time.Time, tale, *person, int, time.Time) {}

// weighted draws by weight.
type weighted struct{ weights []float64 }

func (w weighted) order(_ time.Time, p *person, step int) ([]int, int) {
	r := rand.New(rand.NewPCG(p.id, uint64(900+step)))
	left := append([]float64(nil), w.weights...)
	var order []int
	for range left {
		total := 0.0
		for _, x := range left {
			total += x
		}
		x, i := r.Float64()*total, 0
		for ; i < len(left)-1; i++ {
			if x -= left[i]; x < 0 && left[i] > 0 {
				break
			}
		}
		order = append(order, i)
		left[i] = 0
	}
	return order, -1
}
func (weighted) tell(time.Time, tale, *person, int, time.Time) {}

// learned is an Estimator.
type learned struct {
	e      *Estimator
	routes []channel.Route
	prices []float64
	buf    [MaxRoutes]uint8
}

func learn(w *world, p Params) *learned {
	l := &learned{e: New(p)}
	for _, r := range w.given {
		l.routes = append(l.routes, channel.Route{Name: r.name, Address: channel.Phone})
		l.prices = append(l.prices, r.price)
	}
	return l
}

func (l *learned) order(now time.Time, p *person, step int) ([]int, int) {
	q := Question{Region: countryName(p.country), Routes: l.routes, Prices: l.prices, Kinds: channel.Phone,
		Draw: mix(p.id), Free: step == 0}
	a := l.e.Order(now, &q, &l.buf)
	order := make([]int, len(a.Order))
	for i, j := range a.Order {
		order[i] = int(j)
	}
	return order, a.Explored
}

func (l *learned) tell(now time.Time, what tale, p *person, route int, at time.Time) {
	region, name := countryName(p.country), l.routes[route].Name
	switch what {
	case sent:
		l.e.Sent(now, region, name)
	case refused:
		l.e.Refused(now, region, name)
	case verified:
		l.e.Verified(now, region, name, at)
	case resent:
		l.e.Resent(now, region, name, at)
	case delivered:
		l.e.Delivered(now, region, name, at)
	}
}

// thompson draws from a Beta posterior for each route and country, whose evidence halves
// after a time, and orders the routes by their draws. A message counts as a failure until
// it is verified.
type thompson struct {
	half  time.Duration
	cells map[[2]int]*posterior
	n     int
}

type posterior struct {
	good, bad float64
	at        time.Time
}

func (h *thompson) cell(now time.Time, country, route int) *posterior {
	c := h.cells[[2]int{country, route}]
	if c == nil {
		c = &posterior{at: now}
		h.cells[[2]int{country, route}] = c
	}
	f := math.Exp2(-now.Sub(c.at).Seconds() / h.half.Seconds())
	c.good, c.bad, c.at = c.good*f, c.bad*f, now
	return c
}

func (h *thompson) order(now time.Time, p *person, step int) ([]int, int) {
	r := rand.New(rand.NewPCG(p.id, uint64(800+step)))
	drawn := make([]float64, h.n)
	order := make([]int, h.n)
	for i := range order {
		c := h.cell(now, p.country, i)
		good, bad := gamma(r, 7+c.good), gamma(r, 3+c.bad)
		drawn[i], order[i] = good/(good+bad), i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(drawn[b], drawn[a]) })
	return order, -1
}

func (h *thompson) tell(now time.Time, what tale, p *person, route int, _ time.Time) {
	switch c := h.cell(now, p.country, route); what {
	case sent, refused:
		c.bad++
	case verified:
		c.good, c.bad = c.good+1, max(c.bad-1, 0)
	}
}

// gamma draws from a gamma distribution of a shape over 1 (Marsaglia and Tsang, 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	d := shape - 1.0/3
	for {
		x := r.NormFloat64()
		v := math.Pow(1+x/math.Sqrt(9*d), 3)
		if v > 0 && math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
