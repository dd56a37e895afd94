package provider_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// A token is kept, fetched again before its end, and once more where it is
// refused; never by two at once.
func TestOAuth(t *testing.T) {
	t.Parallel()
	send := func(t *testing.T, b *bubble) error {
		t.Helper()
		m := golden()
		_, err := b.channel.Send(t.Context(), m)
		return err
	}
	tokens := func(b *bubble) (n int) {
		b.set(func() { n = b.tokens })
		return n
	}
	noReceipts := func(c *provider.Config) { c.Receipt = nil }
	inBubble(t, providerNamed(t, "routee"), noReceipts, func(t *testing.T, b *bubble) {
		b.slow = time.Second
		all := make(chan error)
		for range 20 {
			go func() { all <- send(t, b) }()
		}
		for range 20 {
			if err := <-all; err != nil {
				t.Error(err)
			}
		}
		if n := tokens(b); n != 1 {
			t.Errorf("%d tokens for 20 messages at once", n)
		}
		b.slow = 0
		time.Sleep(time.Hour - 59*time.Second)
		if err := send(t, b); err != nil || tokens(b) != 2 {
			t.Errorf("before the token's end: %v, %d tokens", err, tokens(b))
		}
		b.set(func() { b.fakeProvider.refuse = &answer{status: 401} })
		b.take()
		err := send(t, b)
		if channel.ClassOf(err) != channel.Misconfigured || tokens(b) != 3 || len(b.take()) != 3 {
			t.Errorf("refused for good: %v, %d tokens", err, tokens(b))
		}
	})
}

// Without a token nothing is sent, whatever went wrong.
func TestOAuthFails(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer answer
		class  channel.Class
	}{
		"credentials": {answer{401, `{"error":"invalid_client"}`, nil}, channel.Misconfigured},
		"down":        {answer{500, ``, nil}, channel.Temporary},
		"no token":    {answer{200, `{"token_type":"bearer"}`, nil}, channel.Misconfigured},
		"no header":   {answer{200, `{"access_token":"a\r\nb"}`, nil}, channel.Misconfigured},
		"cut":         {answer{}, channel.Temporary},
		"broken off":  {answer{200, `{"access_token":"acc`, http.Header{"Content-Length": {"60"}}}, channel.Temporary},
	} {
		sent := false
		s := newTLSProvider(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = sent || r.URL.Path != "/oauth/token"
			if row.answer.status == 0 {
				panic(http.ErrAbortHandler)
			}
			maps.Copy(w.Header(), row.answer.header)
			w.WriteHeader(row.answer.status)
			_, _ = w.Write([]byte(row.answer.body))
		}))
		ch := newChannel(t, providerNamed(t, "routee").config(t, s.URL, s.Client()))
		_, err := ch.Send(t.Context(), golden())
		_ = ch.Close()
		s.Close()
		if err == nil || channel.ClassOf(err) != row.class || sent {
			t.Errorf("%s: %v, want class %v, and nothing sent", name, err, row.class)
		}
	}
}
