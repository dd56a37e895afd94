package failover

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/otpcourier/otpcourier/channel"
)

const maxAttempts = 20

func routesOf(r channel.Router) []channel.Route {
	if l, ok := r.(channel.RouteLister); ok {
		return slices.Clone(l.Routes())
	}
	return nil
}

// List returns a router that gives every message the same routes in the same
// order. Like every router of this package it is a [channel.RouteLister].
func List(routes ...channel.Route) channel.Router {
	return list(append([]channel.Route{}, routes...))
}

type list []channel.Route

func (l list) Route(context.Context, *channel.Message) ([]channel.Route, error) { return l, nil }

func (l list) Routes() []channel.Route { return slices.Clone(l) }

var addresses = []channel.Address{channel.Phone, channel.Email, channel.Push, channel.Chat}

// validate returns the reason why a route cannot be used.
func validate(r *channel.Route) error {
	switch {
	case r.Name == "":
		return errRouteName
	case r.Channel == nil:
		return errRouteChannel
	case !slices.Contains(addresses, r.Address):
		return errRouteAddress
	}
	if _, nested := channel.As[*Channel](r.Channel); nested {
		return errRouteNested
	}
	return nil
}

var (
	errRouteName    = errors.New("Route.Name is required")
	errRouteChannel = errors.New("Route.Channel is required")
	errRouteAddress = errors.New("Route.Address must be one of Phone, Email, Push, Chat")
	errRouteNested  = errors.New("Route.Channel is a failover: put its routes into the outer Router instead")
)

// isNil reports whether c is a nil pointer or function in the interface.
func isNil(c channel.Channel) bool {
	v := reflect.ValueOf(c)
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

// validateAll is validate for routes that are known beforehand. All their fields
// must be valid.
func validateAll(routes []channel.Route) error {
	seen := map[string]bool{}
	for i := range routes {
		r := &routes[i]
		err := validate(r)
		switch {
		case err != nil:
		case isNil(r.Channel):
			err = errors.New("Route.Channel is a nil pointer: see the error of its New")
		case seen[r.Name]:
			err = errors.New("Route.Name is taken by an earlier route")
		case r.Retry.Attempts < 0 || r.Retry.Attempts > maxAttempts:
			err = fmt.Errorf("Route.Retry.Attempts is not in 0…%d", maxAttempts)
		case r.Retry.Backoff < 0:
			err = errors.New("Route.Retry.Backoff is negative")
		case r.Await < 0:
			err = errors.New("Route.Await is negative")
		}
		for code, class := range r.Classes {
			if !class.Valid() {
				err = fmt.Errorf("Route.Classes[%q] is no class", code)
			}
		}
		if err != nil {
			return fmt.Errorf("route %d %q: %w", i, r.Name, err)
		}
		seen[r.Name] = true
	}
	return nil
}
