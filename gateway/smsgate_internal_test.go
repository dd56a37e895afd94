package gateway

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// The vector is made by the app's own scheme.
func TestEncryptVector(t *testing.T) {
	t.Parallel()
	salt := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	got, err := encryptWith("correct horse", "Your code is 123456", salt)
	want := "$aes-256-cbc/pbkdf2-sha1$i=75000$AAECAwQFBgcICQoLDA0ODw==$6I7A4jcWPHXH0z/4U3pJZphpXDIEoYhRAmncnDpFI6M="
	if err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if a, _ := encrypt("p", "x"); a == "" {
		t.Error("nothing")
	} else if b, _ := encrypt("p", "x"); a == b {
		t.Error("two messages have the same salt")
	}
}

func BenchmarkEncrypt(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encrypt("correct horse", "Your code is 123456"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSignatureVector(t *testing.T) {
	t.Parallel()
	body := []byte(`{"deviceId":"D1","event":"sms:delivered","id":"E1","payload":{"deliveredAt":"2026-02-18T02:10:00.000+07:00","messageId":"otp-0001","phoneNumber":"+19162255887","recipient":"+19162255887","simNumber":2},"webhookId":"W1"}`)
	const signature = "c4a8fea54c7e1bfedfc8b4e4263add65a10a079d8e03be379e610278e7a53962"
	g := &SMSGate{config: SMSGateConfig{WebhookWindow: time.Minute, SigningKeys: []string{"testkey8"}}}
	now := time.Unix(1771355400, 0)
	for name, row := range map[string]struct {
		body, timestamp, signature string
		now                        time.Time
		ok                         bool
	}{
		"right":         {string(body), "1771355400", signature, now, true},
		"early":         {string(body), "1771355400", signature, now.Add(-time.Minute), true},
		"too early":     {string(body), "1771355400", signature, now.Add(-61 * time.Second), false},
		"late":          {string(body), "1771355400", signature, now.Add(time.Minute), true},
		"too late":      {string(body), "1771355400", signature, now.Add(61 * time.Second), false},
		"other time":    {string(body), "1771355401", signature, now, false},
		"other body":    {string(body) + " ", "1771355400", signature, now, false},
		"no time":       {string(body), "", signature, now, false},
		"far time":      {string(body), "-9223372036854775808", signature, now, false},
		"no signature":  {string(body), "1771355400", "", now, false},
		"no hex":        {string(body), "1771355400", "xx" + signature[2:], now, false},
		"cut signature": {string(body), "1771355400", signature[:62], now, false},
	} {
		if _, ok := g.signed("D1", []byte(row.body), row.timestamp, row.signature, row.now); ok != row.ok {
			t.Errorf("%s: %t", name, ok)
		}
	}
	g.config.Devices = []SMSGateDevice{{ID: "D1", SigningKeys: []string{"next"}}, {ID: "D1", SigningKeys: []string{"now"}}}
	if d := cmp.Diff([]string{"next", "now"}, g.keys("D1")); d != "" {
		t.Error(d)
	}
	if _, ok := g.signed("D1", body, "1771355400", signature, now); ok {
		t.Error("a device with keys of its own is believed under another")
	}
	if _, ok := g.signed("D2", body, "1771355400", signature, now); !ok {
		t.Error("a device without keys of its own is not believed under the common one")
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		word, reason string
		class        channel.Class
		code         string
	}{
		{"Failed", "", channel.Unreachable, "Failed"},
		{"Failed", "could not reach +19162255887", channel.Unreachable, "Failed"},
		{"Failed", "Send result: RESULT_ERROR_GENERIC_FAILURE", channel.Unreachable, "RESULT_ERROR_GENERIC_FAILURE"},
		{"Failed", "RESULT_ERROR_LIMIT_EXCEEDED 582037", channel.Throttled, "RESULT_ERROR_LIMIT_EXCEEDED"},
		{"Failed", "RESULT_ERROR_NO_SERVICE", channel.Temporary, "RESULT_ERROR_NO_SERVICE"},
		{"Failed", "RESULT_ERROR_RADIO_OFF", channel.Temporary, "RESULT_ERROR_RADIO_OFF"},
		{"Failed", "RESULT_ERROR_SHORT_CODE_NOT_ALLOWED", channel.Misconfigured, "RESULT_ERROR_SHORT_CODE_NOT_ALLOWED"},
		{"Failed", "TTL expired", channel.Expired, "Failed"},
		{"Failed", "message expired", channel.Expired, "Failed"},
		{"Failed", "throttled", channel.Unreachable, "Failed"},
		{"Failed", "a little busy", channel.Unreachable, "Failed"},
		{"Cancelled", "", channel.Expired, "Cancelled"},
	} {
		if class, code := failure(row.word, row.reason); class != row.class || code != row.code {
			t.Errorf("%s %q: %v %s, want %v %s", row.word, row.reason, class, code, row.class, row.code)
		}
	}
}

func TestReplays(t *testing.T) {
	t.Parallel()
	var r replays
	a, b, now := [sha256.Size]byte{1}, [sha256.Size]byte{2}, time.Now()
	for i, row := range []struct {
		mac  [sha256.Size]byte
		at   time.Duration
		want bool
	}{{a, 0, true}, {a, 1, false}, {b, 2, true}, {a, time.Minute, false}, {a, time.Minute + 1, true}, {b, time.Minute + 2, false}} {
		if got := r.begin(row.mac, now.Add(row.at), time.Minute); got != row.want {
			t.Errorf("%d: %t, want %t", i, got, row.want)
		}
	}
	r.undo(b)
	if !r.begin(b, now.Add(time.Minute+3), time.Minute) {
		t.Error("a webhook that was not accepted cannot be repeated")
	}
	for i := range 2 * maxReplays {
		r.begin([sha256.Size]byte{3, byte(i), byte(i >> 8), byte(i >> 16)}, now.Add(time.Hour), time.Minute)
	}
	if len(r.seen) > maxReplays || len(r.order) > maxReplays {
		t.Errorf("%d and %d are kept", len(r.seen), len(r.order))
	}
}

// How long a token holds is the server's to say, by its own clock.
func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 22, 45, 0, time.UTC)
	for name, row := range map[string]struct {
		date    string
		expires time.Time
		want    time.Duration
	}{
		"our clock":       {"", now.Add(15 * time.Minute), 15 * time.Minute},
		"ours is behind":  {"Sat, 21 Nov 2026 03:52:45 GMT", now.Add(45 * time.Minute), 15 * time.Minute},
		"ours is ahead":   {"Sat, 21 Nov 2026 02:52:45 GMT", now.Add(-15 * time.Minute), 15 * time.Minute},
		"over":            {"", now.Add(-time.Minute), 0},
		"too long":        {"", now.Add(1000 * time.Hour), 24 * time.Hour},
		"it does not say": {"", time.Time{}, 5 * time.Minute},
	} {
		r := web.Response{Header: http.Header{"Date": {row.date}}}
		if got := lifetime(r, row.expires, now); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

// Messages that are over are not kept until there is no room for others, and
// those that are not make room at the bound, all but the ones under way.
func TestPinsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	add := func(d *devices, n int, name string, p pin) {
		for i := range n {
			d.prune(now)
			d.pins[fmt.Sprint(name, i)] = &pin{expires: p.expires, users: p.users}
		}
	}
	d := newDevices(nil)
	add(d, 20*minPins, "over", pin{expires: now})
	if n := len(d.pins); n > minPins {
		t.Errorf("%d messages that are over are kept", n)
	}
	d = newDevices(nil)
	add(d, minPins, "submitted", pin{expires: now, users: 1})
	add(d, maxPins, "alive", pin{expires: now.Add(time.Minute)})
	if n := len(d.pins); n > maxPins || n < maxPins/2 {
		t.Errorf("%d messages are bound", n)
	}
	for i := range minPins {
		if d.pins[fmt.Sprint("submitted", i)] == nil {
			t.Fatal("a message is forgotten that is being submitted")
		}
	}
}
