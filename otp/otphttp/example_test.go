package otphttp_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/otpcourier/otpcourier/channel/console"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A complete API: a backend that has the API key has codes sent and checked. In a
// program, the messages go to os.Stderr until a carrier takes its place.
func Example() {
	key := rand.Text() // a program reads it from where its secrets are
	svc, err := otp.New(otp.Config{Channel: console.New(io.Discard), Store: memstore.New(memstore.Config{}),
		Keys: otp.NewKeyring(), Wording: wording.Config{Brand: "MyBank"}})
	if err != nil {
		log.Fatal(err)
	}
	want := sha256.Sum256([]byte("Bearer " + key))
	api, err := otphttp.New(otphttp.Config{
		Service: svc,
		Authenticate: func(r *http.Request) (otphttp.Caller, error) {
			got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				return otphttp.Caller{}, errors.New("another key")
			}
			return otphttp.Caller{ID: "shop"}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(api) // in a program: an http.Server with TLS
	defer server.Close()

	ask := func(path, body string) (*http.Response, error) {
		r, err := http.NewRequest(http.MethodPost, server.URL+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		return http.DefaultClient.Do(r)
	}
	created, err := ask("/verifications", `{"subject":"ann","purpose":"login","to":{"email":"ann@example.com"}}`)
	if err != nil {
		log.Fatal(err)
	}
	created.Body.Close()
	refused, err := ask(created.Header.Get("Location")+"/check", `{"subject":"ann","purpose":"login","code":"000000"}`)
	if err != nil {
		log.Fatal(err)
	}
	refused.Body.Close()
	fmt.Println(created.Status)
	fmt.Println(refused.Status, refused.Header.Get("Content-Type"))
	// Output:
	// 201 Created
	// 422 Unprocessable Entity application/problem+json
}
