package otptest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otptest"
)

const phone = "+447912345678"

var ann = otp.Request{Subject: "ann", Purpose: "login", To: channel.Recipient{Phone: phone, Email: "Ann@Example.com"}}

func verify(t *testing.T, s *otptest.Service, c *otp.Challenge, code string) error {
	t.Helper()
	_, err := s.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: ann.Subject, Purpose: ann.Purpose, Code: code})
	return err
}

func send(t *testing.T, s *otptest.Service) *otp.Challenge {
	t.Helper()
	c, err := s.Send(t.Context(), ann)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantReason(t *testing.T, err error, want otp.Reason) {
	t.Helper()
	if got := otp.ReasonOf(err); got != want {
		t.Errorf("%v: got reason %q, want %q", err, got, want)
	}
}

// handler is a program under test: it logs people in by a code.
func handler(s *otp.Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		c, err := s.Send(r.Context(), ann)
		if err != nil {
			http.Error(w, "try later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, c.ID)
	})
	mux.HandleFunc("POST /code", func(w http.ResponseWriter, r *http.Request) {
		v := otp.Verification{ID: r.FormValue("id"), Subject: ann.Subject, Purpose: ann.Purpose,
			Code: r.FormValue("code")}
		if _, err := s.Verify(r.Context(), v); err != nil {
			http.Error(w, "wrong or expired", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "welcome")
	})
	return mux
}

func post(h http.Handler, path string, form url.Values) (status int, body string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// A handler's test reads the code in the Inbox and types it. It needs no
// bubble of testing/synctest.
func TestHandler(t *testing.T) {
	t.Parallel()
	codes := otptest.New(t, otp.Config{})
	h := handler(codes.Service)
	_, id := post(h, "/login", nil)
	code := codes.Inbox.Code(phone)
	if status, body := post(h, "/code", url.Values{"id": {id}, "code": {code}}); body != "welcome" {
		t.Errorf("got %d %s", status, body)
	}
	if status, _ := post(h, "/code", url.Values{"id": {id}, "code": {code}}); status != http.StatusForbidden {
		t.Errorf("the code passed twice, with %d", status)
	}
	codes.Down(true)
	if status, _ := post(h, "/login", nil); status != http.StatusServiceUnavailable {
		t.Errorf("got %d while the store is down", status)
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		codes := otptest.New(t, otp.Config{})
		c := send(t, codes)
		time.Sleep(6 * time.Minute)
		if err := verify(t, codes, c, codes.Inbox.Code(phone)); !errors.Is(err, otp.ErrInvalidCode) {
			t.Errorf("got %v, want expired or forgotten", err)
		}
	})
}

func TestLocked(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 3, 50} {
		for _, async := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				codes := otptest.New(t, otp.Config{Async: async, Policy: otp.Policy{MaxFailures: most}})
				c := send(t, codes)
				code := codes.Inbox.Wait(phone).Code
				codes.Inbox.Fail(channel.Temporary) // which Lock does not heed
				codes.Lock(ann.Subject)
				wantReason(t, verify(t, codes, c, code), otp.ReasonLocked)
				if n := len(codes.Inbox.All()); n != 1 {
					t.Errorf("%d messages are in the Inbox, want 1", n)
				}
				time.Sleep(31 * time.Minute)
				codes.Inbox.Fail(0)
				if _, err := codes.Send(t.Context(), ann); err != nil {
					t.Errorf("after the lock: %v", err)
				}
			})
		}
	}
}

// A message that no route takes is an error of Send.
func TestUndelivered(t *testing.T) {
	t.Parallel()
	for _, class := range []channel.Class{channel.Unreachable, channel.InvalidRecipient, channel.Throttled} {
		synctest.Test(t, func(t *testing.T) {
			codes := otptest.New(t, otp.Config{})
			codes.Inbox.Fail(class)
			_, err := codes.Send(t.Context(), ann)
			wantReason(t, err, otp.ReasonUndelivered)
			if got := channel.ClassOf(err); got != class {
				t.Errorf("got class %v, want %v", got, class)
			}
			codes.Inbox.Fail(0)
			send(t, codes)
			codes.Inbox.Code(phone)
		})
	}
}

// A receipt tells what became of a message.
func TestReceipts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		codes := otptest.New(t, otp.Config{})
		c := send(t, codes)
		status := func() *otp.Challenge {
			c, err := codes.Status(t.Context(), otp.Ref{ID: c.ID, Subject: ann.Subject})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		codes.Inbox.Undelivered(phone)
		if got := status().State; got != channel.Failed {
			t.Errorf("got state %v, want failed", got)
		}
		time.Sleep(time.Minute)
		q := otp.ResendRequest{ID: c.ID, Subject: ann.Subject, Route: "email"}
		if _, err := codes.Resend(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		codes.Inbox.Delivered("ann@example.com")
		if got := status(); !got.Delivered || got.State != channel.Delivered {
			t.Errorf("got %+v, want delivered", got)
		}
	})
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		codes := otptest.New(t, otp.Config{})
		c := send(t, codes)
		codes.Down(true)
		ref := otp.Ref{ID: c.ID, Subject: ann.Subject}
		for what, call := range map[string]func() error{
			"Send": func() error { _, err := codes.Send(t.Context(), ann); return err },
			"Resend": func() error {
				_, err := codes.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "ann"})
				return err
			},
			"Verify": func() error { return verify(t, codes, c, codes.Inbox.Code(phone)) },
			"Status": func() error { _, err := codes.Status(t.Context(), ref); return err },
			"Cancel": func() error { return codes.Cancel(t.Context(), ref) },
			"Unlock": func() error { return codes.Unlock(t.Context(), otp.Scope{Subject: ann.Subject}) },
			"Erase":  func() error { return codes.Erase(t.Context(), otp.Erasure{Subject: ann.Subject}) },
			"CancelAll": func() error {
				return codes.CancelAll(t.Context(), otp.Scope{Subject: ann.Subject})
			},
		} {
			if err := call(); !errors.Is(err, otp.ErrUnavailable) {
				t.Errorf("%s: got %v, want unavailable", what, err)
			}
		}
		codes.Down(false)
		if err := verify(t, codes, c, codes.Inbox.Code(phone)); err != nil {
			t.Error(err)
		}
	})
}

// With Async, Wait waits for the worker.
func TestAsync(t *testing.T) {
	t.Parallel()
	for _, bubble := range []bool{true, false} {
		test := func(t *testing.T) {
			codes := otptest.New(t, otp.Config{Async: true})
			c := send(t, codes)
			first := codes.Inbox.Wait(phone)
			if err := verify(t, codes, c, first.Code); err != nil {
				t.Error(err)
			}
			send(t, codes)
			if again := codes.Inbox.Wait(phone); again.ID == first.ID || again.ID != codes.Inbox.Last().ID {
				t.Error("Wait did not return the next message")
			}
		}
		if bubble {
			synctest.Test(t, test)
		} else {
			test(t)
		}
	}
}
