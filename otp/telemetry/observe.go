package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/store"
)

// Sources are asked whenever metrics are collected. Each may be nil.
type Sources struct {
	// Health is the Health of the failover.Channel, for otp.route.status.
	Health func() []failover.RouteHealth

	// Queue is the store, or the otp.Config.Queue, for otp.queue.job.count and
	// otp.queue.age. If processes share a queue, each reports all of it.
	Queue store.Inspector
}

// Observe observes s until the registration is undone by its Unregister. It may
// be called for several failovers and queues, but two of one process must not have
// routes of the same name, nor may there be two queues.
func (t *Telemetry) Observe(s Sources) (metric.Registration, error) {
	r, err := t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		if s.Health != nil {
			t.observeRoutes(o, s.Health())
		}
		if s.Queue == nil {
			return nil
		}
		stats, err := s.Queue.Stats(ctx)
		if err != nil {
			return fmt.Errorf("telemetry: queue: %w", err)
		}
		t.observeQueue(o, stats)
		return nil
	}, t.routeStatus, t.jobs, t.age)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return r, nil
}

func (t *Telemetry) observeRoutes(o metric.Observer, all []failover.RouteHealth) {
	for _, h := range all {
		route := t.route(h.Route)
		o.ObserveInt64(t.routeStatus, one(!h.Open), routeState(route, "up"))
		o.ObserveInt64(t.routeStatus, one(h.Open), routeState(route, "open"))
	}
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func routeState(route, state string) metric.ObserveOption {
	return metric.WithAttributes(routeKey.String(route), routeStateKey.String(state))
}

func (t *Telemetry) observeQueue(o metric.Observer, s store.Stats) {
	for state, n := range map[string]int{"high": s.High, "normal": s.Normal, "low": s.Low, "delayed": s.Delayed,
		"running": s.Running, "dead": s.Dead} {
		o.ObserveInt64(t.jobs, int64(n), metric.WithAttributes(queueStateKey.String(state)))
	}
	o.ObserveFloat64(t.age, s.Oldest.Seconds())
}
