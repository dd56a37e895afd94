package otp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// serve runs a Service behind an HTTP server until ctx ends.
func serve(ctx context.Context, svc *otp.Service, h http.Handler, l net.Listener, closeChannels func(context.Context)) {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var working sync.WaitGroup
	working.Go(func() { _ = svc.Work(work) }) // before the first request
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	<-ctx.Done()

	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	_ = server.Shutdown(stopping) // 1. no request begins; those under way end
	serving.Wait()
	stopWork() // 2. no delivery begins; those under way end
	working.Wait()
	closeChannels(stopping) // 3. the last receipts are handed over
}

// A process starts Work before its HTTP server, and stops them in the opposite order:
// see PRODUCTION.md.
func ExampleService_Work() {
	svc, inbox := exampleService(func(c *otp.Config) { c.Async = true }) // Work delivers
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, err := svc.Send(q.Context(), otp.Request{Subject: "ann", To: both})
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	var served sync.WaitGroup
	served.Go(func() { serve(ctx, svc, h, l, func(context.Context) { fmt.Println("channels are closed") }) })

	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String(), nil)
	if err != nil {
		panic(err)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(q)
	if err != nil {
		panic(errors.Join(err, errors.New("no answer")))
	}
	_ = answer.Body.Close()
	fmt.Println(answer.StatusCode)
	<-inbox.came
	stop()
	served.Wait()
	// Output:
	// 200
	// channels are closed
}
