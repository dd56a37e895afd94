package failover

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// Countries says which routes serve which numbers; see [ByCountry].
type Countries struct {
	// Routes lists the routes by region, ISO 3166-1 alpha-2 ("GB"), best
	// first. A route may serve several regions: the same name means the same
	// route everywhere, with one channel, one breaker and one kind of address.
	// A carrier with an account for each region makes routes of several names.
	Routes map[string][]channel.Route

	// Default serves the regions that Routes does not list, numbers whose
	// region is not known, and recipients without a number. Default: none.
	Default []channel.Route

	// Everyone lists routes for every number, such as e-mail or push. They follow the
	// routes of the region. Default: none.
	Everyone []channel.Route

	// Region returns the region of a number in E.164, and false if it has none,
	// as phone.Region of package channel/phone does. Required.
	Region func(e164 string) (region string, ok bool)
}

// ByCountry returns a router that picks the routes by the region of the
// recipient's number: a route that does not serve it is never tried. The error
// names the field that is missing or wrong.
func ByCountry(c Countries) (channel.Router, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	router := &byCountry{
		routes: make(map[string][]channel.Route, len(c.Routes)),
		others: slices.Concat(c.Default, c.Everyone),
		region: c.Region,
		known:  firsts(c.all()),
	}
	for region, routes := range c.Routes {
		router.routes[region] = slices.Concat(routes, c.Everyone)
	}
	return router, nil
}

func (c *Countries) validate() error {
	v := transport.Validate("failover: Countries.")
	v.Check(c.Region != nil, "Region", "is required")
	for _, region := range slices.Sorted(maps.Keys(c.Routes)) {
		v.Check(isRegion(region), "Routes", "%q is not a region of two capital letters", region)
		v.Error(fmt.Sprintf("Routes[%q]", region), validateAll(slices.Concat(c.Routes[region], c.Everyone)))
	}
	v.Error("Default and Everyone", validateAll(slices.Concat(c.Default, c.Everyone)))
	all := c.all()
	v.Error("Routes", validateKinds(all, firsts(all)))
	return v.Err()
}

// all returns the routes of all fields. A name may recur.
func (c *Countries) all() []channel.Route {
	all := slices.Concat(c.Default, c.Everyone)
	for _, region := range slices.Sorted(maps.Keys(c.Routes)) {
		all = slices.Concat(all, c.Routes[region])
	}
	return all
}

func isRegion(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// firsts returns the first route of each name.
func firsts(routes []channel.Route) []channel.Route {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(routes), func(r channel.Route) bool {
		again := seen[r.Name]
		seen[r.Name] = true
		return again
	})
}

// validateKinds returns an error if two routes of one name differ. It compares the
// kinds of address only: not all channels can be compared.
func validateKinds(all, firsts []channel.Route) error {
	kinds := map[string]channel.Address{}
	for i := range firsts {
		kinds[firsts[i].Name] = firsts[i].Address
	}
	for i := range all {
		if r := &all[i]; r.Address != kinds[r.Name] {
			return fmt.Errorf("Route.Name %q is taken by a route with another Route.Address", r.Name)
		}
	}
	return nil
}

type byCountry struct {
	routes map[string][]channel.Route // with Everyone's
	others []channel.Route            // Default's and Everyone's
	known  []channel.Route
	region func(string) (string, bool)
}

func (c *byCountry) Route(_ context.Context, m *channel.Message) ([]channel.Route, error) {
	if m.To.Phone != "" {
		if region, ok := c.region(m.To.Phone); ok {
			if routes, ok := c.routes[region]; ok {
				return routes, nil
			}
		}
	}
	return c.others, nil
}

func (c *byCountry) Routes() []channel.Route { return slices.Clone(c.known) }
