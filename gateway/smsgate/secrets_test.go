package smsgate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// TestSecrets goes through everything that fails, with a server that
// repeats all that it is told.
func TestSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const code, key, passphrase = "KXQWZJVB", "signing-key-9d1c", "correct-horse-77"
		var log safeBuffer
		logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		config := smsgate.Config{
			JWT: true, Logger: logger, SigningKeys: []string{key},
			Devices: []smsgate.Device{{ID: "pixel", SigningKeys: []string{key}}},
			Receipt: func(context.Context, channel.Receipt) error { return errors.New("store is down") },
		}
		s, byID := phones(t, gatewaytest.Config{JWT: true}, gatewaytest.PhoneConfig{ID: "pixel"})
		m := codeTo("c4n7.1", ann)
		m.Code, m.Text = code, code+" is your code."
		echo := `{"message":"` + m.Text + ` ` + ann + ` ` + gatePassword + `"}`
		var texts []string
		note := func(err error) {
			for ; err != nil; err = errors.Unwrap(err) {
				texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
			}
		}
		for _, rule := range []gatewaytest.Rule{
			{Path: "/messages", Status: 400, Body: echo}, {Path: "/messages", Status: 500, Body: echo},
			{Path: "/messages", Status: 503, Body: echo},
			{Path: "/messages", Status: 401, Body: echo}, {Path: "/auth", Status: 403, Body: echo},
			{Path: "/auth", Status: 201, Body: `{"access_token":"a b"}`},
			{Path: "/messages", Action: gatewaytest.Disconnect}, {Path: "/auth", Status: 201, Body: echo},
			{Path: "/messages", Status: 307, Header: http.Header{"Location": {"https://" + code + "/"}}},
		} {
			g := newGate(t, s, config)
			s.Script(rule)
			_, err := g.Send(t.Context(), m)
			if err == nil {
				t.Errorf("%+v: sent", rule)
			}
			note(err)
			note(g.Cancel(t.Context(), m, channel.Submission{}))
			note(g.RegisterWebhooks(t.Context(), hookURL+"/"+code+"?x"))
			s.ClearScript()
			_ = g.Close()
		}
		g := newGate(t, s, config)
		mustSend(t, g, m)
		byID["pixel"].Report(m.ID, gatewaytest.Failed, m.Text+" "+ann)
		failed := event("sms:failed", "pixel", m.ID)
		failed = strings.Replace(failed, `"simNumber":2`, `"reason":"`+code+` `+ann+`"`, 1)
		for _, body := range []string{echo, "{" + echo, failed} {
			_ = status(g, hook(key, body, time.Now()))
		}
		time.Sleep(10 * time.Minute)
		_ = g.Close()

		config.Password, config.Passphrase = gatePassword, passphrase
		texts = append(texts, fmt.Sprintf("%v %+v %#v %v %+v %#v", config, config, config, g, g, g),
			fmt.Sprintf("%v %+v %#v", config.Devices, config.Devices, config.Devices))
		logger.Info("all", "config", config, "gate", g, "devices", config.Devices[0])
		log.mu.Lock()
		texts = append(texts, log.b.String())
		log.mu.Unlock()
		for _, secret := range []string{code, ann[1:], gatePassword, key, passphrase} {
			for _, text := range texts {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("%q is shown: …%s", secret, text[max(0, i-100):min(len(text), i+50)])
				}
			}
		}
		if !strings.Contains(texts[len(texts)-1], "a receipt was not accepted") ||
			!strings.Contains(texts[len(texts)-1], "webhook refused") {
			t.Errorf("the log says too little:\n%s", texts[len(texts)-1])
		}
	})
}

func TestEncrypted(t *testing.T) {
	t.Parallel()
	s, _ := newGateServer(t, gatewaytest.Config{})
	phone := s.AddPhone(gatewaytest.PhoneConfig{ID: "fairphone", Passphrase: "correct horse"})
	g := newGate(t, s, smsgate.Config{Passphrase: "correct horse", Devices: []smsgate.Device{{ID: "fairphone"}}})
	mustSend(t, g, codeTo("c4n7.1", ann))
	texts, err := phone.Wait(t.Context(), 1)
	if err != nil || texts[0].To != ann || texts[0].Body != "582037 is your code." {
		t.Fatalf("%v, %v", texts, err)
	}
	for _, r := range s.Requests() {
		if r.Method == http.MethodPost && (contains(r.Body, "582037") || contains(r.Body, "9162255887")) {
			t.Error("the server can read the message")
		}
	}
}
