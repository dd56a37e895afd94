package pull_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

// A phone with CHT Gateway polls: here it is a client that reports a message
// from before, and takes the next one.
func ExampleChannel() {
	phones, err := pull.New(pull.Config{
		Phones: []pull.Phone{{ID: "pixel", Password: "a long random secret"}},
		Receipt: func(_ context.Context, r channel.Receipt) error {
			fmt.Println("receipt:", r.MessageID, r.State)
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = phones.Close() }()
	web := httptest.NewTLSServer(phones) // in a program: mux.Handle("/sms", phones)
	defer web.Close()

	done := make(chan error, 1)
	go func() {
		_, err := phones.Send(context.Background(), &channel.Message{
			ID: "c4n7.1", To: channel.Recipient{Phone: "+447912345601"}, Text: "582037 is your code",
			Expires: time.Now().Add(5 * time.Minute),
		})
		done <- err
	}()
	answer, err := poll(web, `{"updates":[{"id":"b1x9.1","status":"DELIVERED"}]}`)
	for err == nil && !strings.Contains(answer, "c4n7.1") {
		answer, err = poll(web, `{"updates":[]}`)
	}
	fmt.Println(answer, err)
	fmt.Println("sent:", <-done)
	// Output:
	// receipt: b1x9.1 delivered
	// {"messages":[{"id":"c4n7.1","to":"+447912345601","content":"582037 is your code"}]} <nil>
	// sent: <nil>
}

// poll is what the phone does every 30 to 60 seconds.
func poll(web *httptest.Server, body string) (answer string, err error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, web.URL, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.SetBasicAuth("pixel", "a long random secret")
	res, err := web.Client().Do(r)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(res.Status))
	}
	return string(b), errors.Join(err, res.Body.Close())
}
