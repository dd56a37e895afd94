package evidence

import (
	"cmp"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A Report is the evidence on a route in a region, for people.
type Report struct {
	Region    string
	Kind      channel.Address
	Route     string
	Given     int // place, from 1; 0: no message was ordered yet
	Place     int
	Estimate  float64
	Evidence  float64
	Loss      float64
	Delivered float64
	Errors    float64
	Price     float64
	Reason    string
}

// Report returns all cells, by region and place.
func (e *Estimator) Report(now time.Time) []Report {
	e.refresh(now)
	at := float64(now.UnixNano()) / float64(Slot)
	var all []Report
	for in, r := range e.regions {
		for route := range r.cells {
			c := e.current(r, route)
			loss := c.lossNow(at, &e.p)
			if every := e.every.cells[route]; every != nil {
				loss = max(loss, every.lossNow(at, &e.p))
			}
			p := Report{Region: in, Kind: c.kind, Route: route, Estimate: c.usual, Loss: loss,
				Evidence: c.tried + c.messages() - c.told,
				Price:    c.price}
			if c.told > 0 {
				p.Delivered = min(c.got/c.told, 1)
			}
			if c.told+c.errors > 0 {
				p.Errors = c.errors / (c.told + c.errors)
			}
			if c.seen {
				p.Given, p.Place = c.place+1, c.rank+1
			}
			p.Reason = c.reason(loss, &e.p)
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Report) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Place, b.Place), cmp.Compare(a.Route, b.Route))
	})
	return all
}

// reason says why a route has its place.
func (c *Cell) reason(loss float64, p *Params) string {
	switch {
	case !c.seen:
		return "evidence of all regions"
	case c.explored:
		return "explored: first for one message"
	case loss > 0.5:
		return "doubted: its messages probably get lost"
	case loss > p.Margin:
		return "doubted: its messages may get lost"
	case c.rank > c.place:
		return "passed: a route given after it has the better estimate or price"
	case c.rank < c.place:
		return "lifted: it has the better estimate or price, or those before it are doubted"
	case c.tried < 5:
		return "given: too little evidence"
	}
	return "given: no evidence against it"
}
