package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// Weighted is a route with its share of the messages.
type Weighted struct {
	Route channel.Route

	// Weight is the share in proportion to the others', 0 to 1,000,000. A
	// route of weight 0 comes after all that have one, in the order given.
	Weight int
}

// Weights says how messages are shared out; see [ByWeight].
type Weights struct {
	// Routes are the routes and their weights. At least one is required.
	Routes []Weighted

	// Rand returns a number in [0,n), evenly distributed, and is called
	// concurrently. Default: IntN of math/rand/v2.
	Rand func(n int) int
}

const maxWeight = 1_000_000

// ByWeight returns a router that draws the first route at random by weight, the
// second among the rest in the same way, and so on: the messages of a dead route
// are shared out by weight, too. The error names the field that is missing or
// wrong.
func ByWeight(w Weights) (channel.Router, error) {
	known, err := w.validate()
	if err != nil {
		return nil, err
	}
	return &byWeight{routes: slices.Clone(w.Routes), known: known, rand: w.Rand}, nil
}

// validate fills in defaults, and returns the routes without their weights.
func (w *Weights) validate() ([]channel.Route, error) {
	v := transport.Validate("failover: Weights.")
	v.Check(len(w.Routes) > 0, "Routes", "is required")
	known := make([]channel.Route, len(w.Routes))
	for i, r := range w.Routes {
		v.Check(0 <= r.Weight && r.Weight <= maxWeight, fmt.Sprintf("Routes[%d].Weight", i),
			"%d is not within 0..%d", r.Weight, maxWeight)
		known[i] = r.Route
	}
	v.Error("Routes", validateAll(known))
	if w.Rand == nil {
		w.Rand = rand.IntN
	}
	return known, v.Err()
}

type byWeight struct {
	routes []Weighted
	known  []channel.Route
	rand   func(int) int
}

func (w *byWeight) Route(context.Context, *channel.Message) ([]channel.Route, error) {
	total := 0
	for i := range w.routes {
		total += w.routes[i].Weight
	}
	drawn := make([]bool, len(w.routes))
	routes := make([]channel.Route, 0, len(w.routes))
	for range w.routes {
		i := w.draw(drawn, total)
		drawn[i] = true
		total -= w.routes[i].Weight
		routes = append(routes, w.routes[i].Route)
	}
	return routes, nil
}

// draw returns one of the routes not drawn yet, whose weights sum up to total.
func (w *byWeight) draw(drawn []bool, total int) int {
	if total == 0 {
		return slices.Index(drawn, false)
	}
	n := w.rand(total)
	last := 0
	for i := range w.routes {
		if drawn[i] {
			continue
		}
		last = i
		if n -= w.routes[i].Weight; n < 0 {
			break
		}
	}
	return last
}

func (w *byWeight) Routes() []channel.Route { return slices.Clone(w.known) }
