package telemetry_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/telemetry"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A program sets up an SDK of OpenTelemetry, or none, and passes its providers.
func Example() {
	t, err := telemetry.New(telemetry.Config{
		MeterProvider:  otel.GetMeterProvider(),
		TracerProvider: otel.GetTracerProvider(),
		Purposes:       []string{"login", "payment"},
		Countries:      []string{"GB", "FR"},
		Price:          func(e otp.Event) float64 { return 0.04 * float64(len(e.Providers)) }, // by part
		Currency:       "GBP",
	})
	if err != nil {
		log.Fatal(err)
	}

	var code string // a carrier in place of smpp.New
	carrier := channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		code = m.Code
		return channel.Submission{ProviderIDs: []string{"1"}}, nil
	})
	routes, err := failover.New(failover.Config{Router: failover.List(
		t.Route(channel.Route{Name: "carrier", Channel: carrier, Address: channel.Phone}))})
	if err != nil {
		log.Fatal(err)
	}
	store := memstore.New(memstore.Config{})
	plain, err := otp.New(otp.Config{Channel: routes, Store: store, Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "MyBank"}, Events: t.Events(nil),
		Logger: slog.New(telemetry.LogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{
			Level: slog.LevelWarn})))})
	if err != nil {
		log.Fatal(err)
	}
	registration, err := t.Observe(telemetry.Sources{Health: routes.Health, Queue: store})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = registration.Unregister() }()

	codes, ctx := t.Service(plain), context.Background()
	c, err := codes.Send(ctx, otp.Request{Subject: "user-42", Purpose: "login",
		To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = codes.Verify(ctx, otp.Verification{ID: c.ID, Subject: "user-42", Purpose: "login", Code: code})
	fmt.Println("verified:", err == nil)
	// Output: verified: true
}
