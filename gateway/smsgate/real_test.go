package smsgate_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestThirdParty(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"":                                     "",
		"https://sms.example":                  "https://sms.example/api/3rdparty/v1",
		"http://127.0.0.1:3000/":               "http://127.0.0.1:3000/api/3rdparty/v1",
		"https://sms.example/api/":             "https://sms.example/api/3rdparty/v1",
		"https://sms.example/api/3rdparty/v1/": "https://sms.example/api/3rdparty/v1",
		"https://api.sms-gate.app/3rdparty/v1": "https://api.sms-gate.app/3rdparty/v1",
	} {
		if got := thirdParty(server); got != want {
			t.Errorf("%q: %q, want %q", server, got, want)
		}
	}
}

// await waits for a receipt that ends so.
func (l *ledger) await(t *testing.T, suffix string) {
	t.Helper()
	var seen []string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, line := range l.take() {
			seen = append(seen, line)
			if strings.HasSuffix(line, suffix) {
				return
			}
		}
	}
	t.Fatalf("no receipt ends with %q: %q", suffix, seen)
}

func TestRealSMSGate(t *testing.T) {
	s := realSMSGate(t)
	t.Run("Delivered", func(t *testing.T) { s.testDelivered(t) })
	t.Run("LostAnswers", func(t *testing.T) { s.testLostAnswers(t) })
	t.Run("Failed", func(t *testing.T) { s.testFailed(t) })
	t.Run("Cancel", func(t *testing.T) { s.testCancel(t) })
	t.Run("Encrypted", func(t *testing.T) { s.testEncrypted(t) })
	t.Run("Refusals", func(t *testing.T) { s.testRefusals(t) })
	t.Run("Webhooks", func(t *testing.T) { s.testWebhooks(t) })
	t.Run("Devices", func(t *testing.T) { s.testDevices(t) })
	t.Run("Offline", func(t *testing.T) { s.testOffline(t) })
}

// A message goes to the phone once, however often it is sent, and its states
// come back, with tokens if the server has them.
func (s *realServer) testDelivered(t *testing.T) {
	l := newLedger()
	g := s.channel(t, l, func(c *smsgate.Config) { c.JWT = true })
	m := codeTo(newID(1), ann)
	for range 2 {
		mustSend(t, g, m)
	}
	again := s.channel(t, newLedger(), nil) // another process: 409
	mustSend(t, again, m)
	taken := s.take(t, m.ID)
	if len(taken) != 1 {
		t.Fatalf("the phone was given %d messages", len(taken))
	}
	got := taken[0]
	text := got.TextMessage.Text
	if text == "" {
		text = got.Message
	}
	if text != m.Text || len(got.PhoneNumbers) != 1 || got.PhoneNumbers[0] != ann || got.SIMNumber != 2 ||
		got.Priority != 100 || !got.WithDeliveryReport {
		t.Errorf("the phone was given %+v", got)
	}
	left := time.Until(got.ValidUntil)
	if got.TTL > 0 {
		left = time.Duration(got.TTL) * time.Second
	}
	if left > 5*time.Minute+10*time.Second || left < 4*time.Minute {
		t.Errorf("the phone may send it for %v, want 5 minutes", left)
	}
	s.report(t, m.ID, "Processed", ann, "")
	s.report(t, m.ID, "Sent", ann, "")
	l.await(t, m.ID+" sent unknown Sent")
	s.report(t, m.ID, "Delivered", ann, "")
	l.await(t, m.ID+" delivered unknown Delivered")
	wantClassOf(t, g.Cancel(t.Context(), m, channel.Submission{}), channel.Unknown, channel.Misconfigured)
}

// losing is a transport that loses the answers to all submissions.
type losing struct{ http.RoundTripper }

func (l losing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/messages") {
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return resp, err
}

// A message whose every answer was lost counts as accepted, because the server says
// that it has the message.
func (s *realServer) testLostAnswers(t *testing.T) {
	g := s.channel(t, newLedger(), func(c *smsgate.Config) {
		c.Client = &http.Client{Transport: losing{&http.Transport{DisableKeepAlives: true}}}
	})
	m := codeTo(newID(1), ann)
	mustSend(t, g, m)
	if n := len(s.take(t, m.ID)); n != 1 {
		t.Errorf("the phone was given %d messages", n)
	}
}

func wantClassOf(t *testing.T, err error, classes ...channel.Class) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one of %v", classes)
		return
	}
	for _, c := range classes {
		if channel.ClassOf(err) == c {
			return
		}
	}
	t.Errorf("error %v, want one of %v", err, classes)
}

func (s *realServer) testFailed(t *testing.T) {
	l := newLedger()
	g := s.channel(t, l, nil)
	m := codeTo(newID(1), ann)
	mustSend(t, g, m)
	s.report(t, m.ID, "Failed", ann, "Send result: RESULT_ERROR_NO_SERVICE")
	l.await(t, m.ID+" failed temporary RESULT_ERROR_NO_SERVICE")
}

func (s *realServer) testCancel(t *testing.T) {
	g := s.channel(t, newLedger(), nil)
	m := codeTo(newID(1), ann)
	mustSend(t, g, m)
	err := g.Cancel(t.Context(), m, channel.Submission{})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("the server is of a version before 1.45: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range s.take(t, m.ID) {
		if got.State != "Cancelling" {
			t.Errorf("the phone is given the message as %q", got.State)
		}
	}
	if err := g.Cancel(t.Context(), m, channel.Submission{}); err != nil {
		t.Errorf("Cancel again: %v", err)
	}
	sent := codeTo(newID(1), ann)
	mustSend(t, g, sent)
	s.report(t, sent.ID, "Sent", ann, "")
	wantClassOf(t, g.Cancel(t.Context(), sent, channel.Submission{}), channel.Unknown)
}

func (s *realServer) testEncrypted(t *testing.T) {
	g := s.channel(t, newLedger(), func(c *smsgate.Config) { c.Passphrase = "correct horse" })
	m := codeTo(newID(1), ann)
	mustSend(t, g, m)
	taken := s.take(t, m.ID)
	if len(taken) != 1 || !taken[0].IsEncrypted {
		t.Fatalf("the phone was given %+v", taken)
	}
	const form = "$aes-256-cbc/pbkdf2-sha1$i=75000$"
	for _, sealed := range []string{taken[0].TextMessage.Text + taken[0].Message, taken[0].PhoneNumbers[0]} {
		if !strings.HasPrefix(sealed, form) {
			t.Errorf("not encrypted: %s", sealed)
		}
	}
}

func (s *realServer) testRefusals(t *testing.T) {
	wrong := s.channel(t, newLedger(), func(c *smsgate.Config) { c.Password += "x" })
	_, err := wrong.Send(t.Context(), codeTo(newID(1), ann))
	wantRefused(t, err, channel.Misconfigured, "401")

	g := s.channel(t, newLedger(), nil)
	_, err = g.Send(t.Context(), codeTo(newID(1), "+10000000000"))
	wantRefused(t, err, channel.InvalidRecipient, "400")
	skipping := s.channel(t, newLedger(), func(c *smsgate.Config) { c.SkipPhoneValidation = true })
	mustSend(t, skipping, codeTo(newID(1), "+10000000000"))

	nobody := s.channel(t, newLedger(),
		func(c *smsgate.Config) { c.Devices = []smsgate.Device{{ID: "no-such-device"}} })
	_, err = nobody.Send(t.Context(), codeTo(newID(1), ann))
	wantRefused(t, err, channel.Temporary, "400")

	elsewhere := s.channel(t, newLedger(), func(c *smsgate.Config) { c.URL += "/nowhere" })
	_, err = elsewhere.Send(t.Context(), codeTo(newID(1), ann))
	wantClassOf(t, err, channel.Misconfigured)
}

func (s *realServer) testWebhooks(t *testing.T) {
	g := s.channel(t, newLedger(), nil)
	url := fmt.Sprintf("https://otp.example.com/%016x", rand.Uint64())
	count := func() (n int) {
		var all []struct{ URL string }
		s.do(t, http.MethodGet, s.url+"/webhooks", s.basic(), nil, &all, http.StatusOK)
		for _, h := range all {
			if h.URL == url {
				n++
			}
		}
		return n
	}
	for range 2 {
		if err := g.RegisterWebhooks(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 3 {
			t.Errorf("%d webhooks, want 3", n)
		}
	}
	for range 2 {
		if err := g.RemoveWebhooks(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 0 {
			t.Errorf("%d webhooks are left", n)
		}
	}
}

// Without Devices the phones are listed, and one is chosen.
func (s *realServer) testDevices(t *testing.T) {
	g := s.channel(t, newLedger(), func(c *smsgate.Config) { c.Devices, c.ActiveWithin, c.JWT = nil, time.Hour, true })
	all, err := g.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range all {
		found = found || p.ID == s.device && p.Active && p.Name != ""
	}
	if !found {
		t.Errorf("the phone is not among %v, or not active", all)
	}
	m := codeTo(newID(1), ann)
	mustSend(t, g, m)
	mustSend(t, s.channel(t, newLedger(), func(c *smsgate.Config) { c.Devices = nil }), m)
	var state struct{ DeviceID string }
	s.do(t, http.MethodGet, s.url+"/messages/"+m.ID, s.basic(), nil, &state, http.StatusOK)
}

// A phone that does not come: OTPCOURIER_SMSGATE_DEVICE, or else the test's own.
// The message is accepted, and its last state told when the code expires.
func (s *realServer) testOffline(t *testing.T) {
	device := os.Getenv("OTPCOURIER_SMSGATE_DEVICE")
	if device == "" {
		device = s.device
	}
	l := newLedger()
	g := s.channel(t, l, func(c *smsgate.Config) { c.Devices = []smsgate.Device{{ID: device}} })
	m := codeTo(newID(1), ann)
	m.Expires = time.Now().Add(7 * time.Second)
	mustSend(t, g, m)
	l.await(t, m.ID+" sent unknown Pending")
	if time.Now().Before(m.Expires) {
		t.Error("the last state was told before the code has expired")
	}
}
