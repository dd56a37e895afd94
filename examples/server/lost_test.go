package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A deaf connection is cut as soon as the answer begins.
type deaf struct{ net.Conn }

func (d deaf) Read(p []byte) (int, error) {
	if _, err := d.Conn.Read(p); err != nil {
		return 0, err
	}
	_ = d.Close()
	return 0, io.ErrUnexpectedEOF
}

// An answer that was lost on its way is asked for again: one message, one attempt, the same
// answer. Two API keys of one application do not meet in a key.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		second, kept, err := newKey("shop2")
		if err != nil {
			t.Fatal(err)
		}
		r, pipe := startPiped(t, func(c *config) {
			c.Applications[0].Keys = append(c.Applications[0].Keys, kept)
		})
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := pipe.dial(ctx, network, addr)
			return deaf{c}, err
		}
		lossy := &client{"http://pipe", r.shop.key, &http.Client{
			Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
		lost := func(path, body, key string) {
			t.Helper()
			if a, err := lossy.ask(t.Context(), "POST", path, body, "Idempotency-Key", key); err == nil {
				t.Fatalf("%s: the answer came: %s", path, a)
			}
		}
		sent := func(want int) {
			t.Helper()
			if n := r.people.count(); n != want {
				t.Errorf("%d messages were sent, want %d", n, want)
			}
		}
		lost(apiPath, annsLogin, `"1"`)
		created := r.want(r.shop, "201 pending", "POST", apiPath, annsLogin, "Idempotency-Key", `"1"`)
		at := apiPath + "/" + created.body.ID
		if created.header.Get("Location") != at {
			t.Errorf("got %v", created.header)
		}
		sent(1)
		code := r.people.read("+447912345601")
		another := &client{r.shop.url, second, r.shop.http}
		if a := r.want(another, "201 pending", "POST", apiPath, annsLogin, "Idempotency-Key", `"1"`); at ==
			a.header.Get("Location") {
			t.Error("two API keys have met in one Idempotency-Key")
		}
		sent(2)
		r.want(r.shop, "422 conflict", "POST", apiPath, strings.Replace(annsLogin, "5601", "5602", 1),
			"Idempotency-Key", "1")

		time.Sleep(time.Minute)
		lost(at+"/resend", `{"subject":"ann"}`, "2")
		r.want(r.shop, "200 pending", "POST", at+"/resend", `{"subject":"ann"}`, "Idempotency-Key", "2")
		sent(3)

		lost(at+"/check", checkBody(other(code)), "3")
		r.want(r.shop, "422 code_refused, 4 attempts left", "POST", at+"/check", checkBody(other(code)),
			"Idempotency-Key", "3")
		lost(at+"/check", checkBody(code), "4")
		r.want(r.shop, "200 verified", "GET", at, "", "Otp-Subject", "ann")
		r.want(r.shop, "200 verified", "POST", at+"/check", checkBody(code), "Idempotency-Key", "4")
		r.want(another, "422 code_refused", "POST", at+"/check", checkBody(code), "Idempotency-Key", "4")
		r.want(r.shop, "422 code_refused", "POST", at+"/check", checkBody(code))
	})
}

// A client that hangs up while a message is on its way and asks again causes no second one.
func TestHungUp(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for i := range 2 {
		r.people.begun, r.people.slow = make(chan struct{}, 2), make(chan struct{})
		body := fmt.Sprintf(`{"subject":"s%d","to":{"phone":"+44791234560%d"}}`, i, i)
		ctx, hangUp := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := r.shop.ask(ctx, "POST", apiPath, body, "Idempotency-Key", fmt.Sprint(i))
			ended <- err
		}()
		<-r.people.begun
		hangUp()
		if err := <-ended; err == nil {
			t.Fatal("the answer came")
		}
		if i == 0 { // the repeat comes after the message, or beside it
			close(r.people.slow)
			r.want(r.shop, "201 pending", "POST", apiPath, body, "Idempotency-Key", fmt.Sprint(i))
		} else {
			again := make(chan *answer, 1)
			go func() {
				a, _ := r.shop.ask(t.Context(), "POST", apiPath, body, "Idempotency-Key", fmt.Sprint(i))
				again <- a
			}()
			if a := <-again; a == nil || a.status != http.StatusAccepted { // it is on its way
				t.Errorf("got %v", a)
			}
			close(r.people.slow)
			for sent := false; !sent; runtime.Gosched() {
				a, err := r.shop.ask(t.Context(), "POST", apiPath, body, "Idempotency-Key", fmt.Sprint(i))
				sent = err != nil || a.status != http.StatusAccepted
			}
		}
		if n := r.people.count(); n != i+1 {
			t.Errorf("%d messages were sent, want %d", n, i+1)
		}
	}
}
