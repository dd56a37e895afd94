package smsgate_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status int
		body   string
		class  channel.Class
	}{
		{400, `{"message":"failed to use phone in row 1: invalid phone number"}`, channel.InvalidRecipient},
		{400, `{"message":"failed to use phone in row 1: failed to parse phone number: x"}`, channel.InvalidRecipient},
		{400, `{"message":"failed to use phone in row 1: not mobile phone number"}`, channel.Unreachable},
		{
			400, `{"message":"Key: 'Message.PhoneNumbers[0]' Error:Field validation for 'PhoneNumbers[0]' failed on ` +
				`the 'max' tag"}`, channel.InvalidRecipient,
		},
		{400, `{"message":"record not found"}`, channel.Temporary},
		{400, `{"message":"no active devices"}`, channel.Temporary},
		{400, `{"message":"Key: 'Message.Priority' Error"}`, channel.Misconfigured},
		{400, "Bad Request", channel.Misconfigured},
		{401, `{"message":"Unauthorized"}`, channel.Misconfigured},
		{403, `{"message":"scope required: messages:send"}`, channel.Misconfigured},
		{404, "Cannot POST /messages", channel.Misconfigured},
		{301, "", channel.Misconfigured},
		{408, "", channel.Temporary},
		{429, "", channel.Throttled},
		{500, `{"message":"failed to handle request"}`, channel.Unknown},
		{502, "Bad Gateway", channel.Unknown},
		{503, "queue limits exceeded: too many failed messages", channel.Throttled},
		{503, `{"message":"queue limits exceeded"}`, channel.Throttled},
		{503, "<html>Service Unavailable</html>", channel.Unknown},
		{504, "", channel.Unknown},
	} {
		s, _ := newGateServer(t, gatewaytest.Config{})
		s.Script(gatewaytest.Rule{
			Method: http.MethodPost, Path: "/messages", Status: row.status, Body: row.body,
			Header: http.Header{"Retry-After": {"7"}},
		})
		g := newGate(t, s, smsgate.Config{})
		_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
		e, ok := errors.AsType[*channel.Error](err)
		if !ok || e.Class != row.class || e.RetryAfter != 7*time.Second || e.Code == "" {
			t.Errorf("%d %s: %v, want class %v", row.status, row.body, err, row.class)
		}
		want := 1
		if row.class == channel.Unknown {
			want = 3
		}
		if n := posts(s); n != want {
			t.Errorf("%d %s: %d submissions, want %d", row.status, row.body, n, want)
		}
	}
}

// What must not go near the server.
func TestUnsendable(t *testing.T) {
	t.Parallel()
	s, _ := newGateServer(t, gatewaytest.Config{})
	g := newGate(t, s, smsgate.Config{})
	for name, row := range map[string]struct {
		change func(*channel.Message)
		class  channel.Class
	}{
		"no id":   {func(m *channel.Message) { m.ID = "" }, channel.Misconfigured},
		"long id": {func(m *channel.Message) { m.ID = strings.Repeat("x", 37) }, channel.Misconfigured},
		"id":      {func(m *channel.Message) { m.ID = "a/b" }, channel.Misconfigured},
		"id ..":   {func(m *channel.Message) { m.ID = ".." }, channel.Misconfigured},
		"no text": {func(m *channel.Message) { m.Text = "" }, channel.Misconfigured},
		"no number": {
			func(m *channel.Message) { m.To = channel.Recipient{Email: "ann@example.com"} }, channel.InvalidRecipient,
		},
		"no E.164": {func(m *channel.Message) { m.To.Phone = "9162255887" }, channel.InvalidRecipient},
		"almost over": {
			func(m *channel.Message) { m.Expires = time.Now().Add(4900 * time.Millisecond) }, channel.Expired,
		},
	} {
		m := codeTo("c4n7.1", ann)
		row.change(m)
		if _, err := g.Send(t.Context(), m); channel.ClassOf(err) != row.class {
			t.Errorf("%s: %v, want class %v", name, err, row.class)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("the server has read %d requests", n)
	}
}
