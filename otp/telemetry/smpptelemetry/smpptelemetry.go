// Package smpptelemetry observes the binds of SMPP clients by OpenTelemetry. It is
// apart from package telemetry so that a program without SMPP does not link it.
//
// The metric smpp.session.status counts sessions by
//
//	otp.route            the route of the client
//	smpp.session.state   bound, connecting, or refused: the SMSC answers a bind with an error
//	smpp.session.role    sender, or receiver: the receiver of smpp.Config.Pair
//
// Each state has a value, 0 too. A session to a standby host counts only while it
// is bound.
package smpptelemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

// Observe makes smpp.session.status of the clients, by the names of their routes.
// The clients are asked whenever metrics are collected, until the registration is
// undone by its Unregister. Call it once for all clients of a MeterProvider.
func Observe(provider metric.MeterProvider, clients map[string]*smpp.Client) (metric.Registration, error) {
	meter := provider.Meter("github.com/otpcourier/otpcourier/otp/telemetry/smpptelemetry")
	status, err := meter.Int64ObservableUpDownCounter("smpp.session.status", metric.WithUnit("{session}"),
		metric.WithDescription("Sessions by their state."))
	if err != nil {
		return nil, fmt.Errorf("smpptelemetry: %w", err)
	}
	r, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for route, client := range clients {
			for k, n := range count(client.State().Sessions) {
				o.ObserveInt64(status, n, metric.WithAttributes(attribute.String("otp.route", route),
					attribute.String("smpp.session.state", k.state), attribute.String("smpp.session.role", k.role)))
			}
		}
		return nil
	}, status)
	if err != nil {
		return nil, fmt.Errorf("smpptelemetry: %w", err)
	}
	return r, nil
}

type key struct{ state, role string }

// count counts sessions. A role that none of them has is left out.
func count(sessions []smpp.Session) map[key]int64 {
	all := map[key]int64{}
	for _, s := range sessions {
		role := "sender"
		if s.Receiver {
			role = "receiver"
		}
		for _, state := range []string{"bound", "connecting", "refused"} {
			all[key{state, role}] += 0
		}
		switch {
		case s.Bound:
			all[key{"bound", role}]++
		case s.Standby:
		case isRefusal(s.Err):
			all[key{"refused", role}]++
		default:
			all[key{"connecting", role}]++
		}
	}
	return all
}

// isRefusal reports whether the SMSC has answered a bind: the error has its status.
func isRefusal(err error) bool {
	var e *channel.Error
	return errors.As(err, &e) && e.Code != ""
}
