package smpptelemetry_test

import (
	"context"
	"fmt"
	"log"

	"go.opentelemetry.io/otel"

	"github.com/otpcourier/otpcourier/otp/telemetry/smpptelemetry"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func Example() {
	smsc := smpptest.NewTLSServer(smpptest.Config{}) // a carrier's SMSC in production
	defer smsc.Close()
	carrier, err := smpp.New(smpp.Config{Addr: smsc.Addr, TLS: smsc.ClientTLS(), SystemID: "mybank"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = carrier.Close() }()

	registration, err := smpptelemetry.Observe(otel.GetMeterProvider(), map[string]*smpp.Client{"carrier": carrier})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = registration.Unregister() }()
	fmt.Println("bound:", carrier.Ready(context.Background()) == nil)
	// Output: bound: true
}
