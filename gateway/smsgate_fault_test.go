package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

// 1,000 messages at once to a server whose phones have full queues, that loses
// answers and forgets tokens: each message has one outcome, and it is the truth.
func TestSMSGateThousandAtOnce(t *testing.T) {
	t.Parallel()
	s := gatewaytest.NewTLSServer(gatewaytest.Config{QueueLimit: 150, JWT: true, Username: gateUser, Password: gatePassword})
	t.Cleanup(s.Close)
	for i := range 3 {
		s.AddPhone(gatewaytest.PhoneConfig{ID: fmt.Sprint("phone-", i), Manual: true})
	}
	s.Client().Transport.(*http.Transport).MaxConnsPerHost = 32
	submission := gatewaytest.Rule{Method: http.MethodPost, Path: "/messages", Action: gatewaytest.Disconnect, Times: 20}
	lost := submission
	lost.Served = true
	s.Script(submission, lost, gatewaytest.Rule{Method: http.MethodPost, Path: "/messages", Status: 401, Times: 5})
	g := newGate(t, s, gateway.SMSGateConfig{JWT: true, Timeout: 5 * time.Minute})

	const n = 1000
	var mu sync.Mutex
	outcomes := map[string]channel.Class{}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			id := fmt.Sprintf("c%d.1", i)
			_, err := g.Send(context.Background(), codeTo(id, ann))
			class := channel.Class(255) // accepted
			if err != nil {
				class = channel.ClassOf(err)
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[id] = class
		})
	}
	all.Wait()
	has := map[string]int{}
	for _, m := range s.Messages() {
		has[m.ID]++
	}
	count := map[channel.Class]int{}
	for id, class := range outcomes {
		count[class]++
		switch {
		case has[id] > 1:
			t.Errorf("%s was accepted %d times", id, has[id])
		case class == 255 && has[id] == 0:
			t.Errorf("%s counts as accepted, but was lost", id)
		case class != 255 && class != channel.Unknown && has[id] != 0:
			t.Errorf("%s counts as not sent (%v), but was accepted", id, class)
		}
	}
	// Who meets two of the 401 is refused for good.
	refused := count[channel.Throttled] + count[channel.Unknown] + count[channel.Misconfigured]
	if len(outcomes) != n || count[255] != 450 || refused != n-450 || count[channel.Misconfigured] > 2 {
		t.Errorf("outcomes %v, want 450 accepted", count)
	}
	t.Logf("%d accepted, %d throttled, %d unknown", count[255], count[channel.Throttled], count[channel.Unknown])
}

// A phone and a server that fail at random: of each message something is told,
// and never a lesser state after a greater one.
func TestSMSGateRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		inBubble(t, gateway.SMSGateConfig{}, gatewaytest.Config{}, gatewaytest.PhoneConfig{}, func(t *testing.T, g *gate) {
			random := rand.New(rand.NewPCG(seed, 1))
			const n = 30
			for i := range n {
				g.phone.Next(1, gatewaytest.Plan{
					Delay: time.Duration(random.IntN(400)) * time.Second, Between: time.Duration(random.IntN(20)) * time.Second,
					Late: time.Duration(random.IntN(100)) * time.Second, Copies: 1 + random.IntN(3),
					Reversed: random.IntN(2) == 0, NoWebhooks: random.IntN(4) == 0, NoReports: random.IntN(4) == 0,
				})
				g.ledger.fail(random.IntN(2))
				mustSend(t, g, codeTo(fmt.Sprintf("c%d.1", i), ann))
				if random.IntN(5) == 0 {
					g.server.SetDown(true)
				}
				time.Sleep(time.Duration(random.IntN(10)) * time.Second)
				g.server.SetDown(false)
			}
			time.Sleep(3 * time.Hour)
			synctest.Wait()
			order := map[string]int{"sent": 1, "failed": 2, "delivered": 3}
			reached := map[string]int{}
			for _, line := range g.ledger.take() {
				f := strings.Fields(line)
				if order[f[2]] <= reached[f[1]] {
					t.Errorf("seed %d: %q after state %d", seed, line, reached[f[1]])
				}
				reached[f[1]] = order[f[2]]
			}
			if len(reached) != n {
				t.Errorf("seed %d: receipts of %d messages, want %d", seed, len(reached), n)
			}
		})
	}
}

// The server stalls after it has read the message: Send answers in time, and
// that it does not know.
func TestSMSGateStalledServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "pixel"})
		g := newGate(t, s, gateway.SMSGateConfig{Devices: oneDevice, Timeout: 8 * time.Second})
		s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall})
		began := time.Now()
		_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
		wantRefused(t, err, channel.Unknown, "")
		if took := time.Since(began); took != 8*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := posts(s); n != 3 {
			t.Errorf("%d tries", n)
		}
		// A first answer that is late leaves time for a second.
		s.ClearScript()
		s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall, Served: true, Times: 1})
		mustSend(t, g, codeTo("c4n7.2", ann))
	})
}

// Nobody waits for an answer beyond the code's life.
func TestSMSGateEndsAtExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "pixel"})
		g := newGate(t, s, gateway.SMSGateConfig{Devices: oneDevice})
		s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall})
		m := codeTo("c4n7.1", ann)
		m.Expires = time.Now().Add(7 * time.Second)
		_, err := g.Send(t.Context(), m)
		wantRefused(t, err, channel.Unknown, "")
		if over := time.Since(m.Expires); over != 0 {
			t.Errorf("it ended %v after the code", over)
		}
	})
}

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

// TestSMSGateSecrets goes through everything that fails, with a server that
// repeats all that it is told.
func TestSMSGateSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const code, key, passphrase = "KXQWZJVB", "signing-key-9d1c", "correct-horse-77"
		var log safeBuffer
		logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		config := gateway.SMSGateConfig{
			JWT: true, Logger: logger, SigningKeys: []string{key}, Devices: []gateway.SMSGateDevice{{ID: "pixel", SigningKeys: []string{key}}},
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
			{Path: "/messages", Status: 400, Body: echo}, {Path: "/messages", Status: 500, Body: echo}, {Path: "/messages", Status: 503, Body: echo},
			{Path: "/messages", Status: 401, Body: echo}, {Path: "/auth", Status: 403, Body: echo}, {Path: "/auth", Status: 201, Body: `{"access_token":"a b"}`},
			{Path: "/messages", Action: gatewaytest.Disconnect}, {Path: "/auth", Status: 201, Body: echo}, {Path: "/messages", Status: 307, Header: http.Header{"Location": {"https://" + code + "/"}}},
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
		for _, body := range []string{echo, "{" + echo, strings.Replace(event("sms:failed", "pixel", m.ID), `"simNumber":2`, `"reason":"`+code+` `+ann+`"`, 1)} {
			_ = status(g, hook(key, body, time.Now()))
		}
		time.Sleep(10 * time.Minute)
		_ = g.Close()

		config.Password, config.Passphrase = gatePassword, passphrase
		texts = append(texts, fmt.Sprintf("%v %+v %#v %v %+v %#v", config, config, config, g, g, g), fmt.Sprintf("%v %+v %#v", config.Devices, config.Devices, config.Devices))
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
		if !strings.Contains(texts[len(texts)-1], "a receipt was not accepted") || !strings.Contains(texts[len(texts)-1], "webhook refused") {
			t.Errorf("the log says too little:\n%s", texts[len(texts)-1])
		}
	})
}
