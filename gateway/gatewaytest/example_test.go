package gatewaytest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

func Example() {
	srv := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "user", Password: "secret"})
	defer srv.Close()
	phone := srv.AddPhone(gatewaytest.PhoneConfig{ID: "pixel"})
	srv.Script(gatewaytest.Rule{Path: "/messages", Status: http.StatusServiceUnavailable, Times: 1})

	for range 2 {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, srv.URL+"/messages",
			strings.NewReader(`{"id":"c4n7.1","textMessage":{"text":"582037 is your code"},`+
				`"phoneNumbers":["+447912345601"]}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		r.SetBasicAuth("user", "secret")
		answer, err := srv.Client().Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = answer.Body.Close()
		fmt.Println(answer.Status)
	}
	texts, err := phone.Wait(context.Background(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(texts[0].To, texts[0].Body)
	// Output:
	// 503 Service Unavailable
	// 202 Accepted
	// +447912345601 582037 is your code
}
