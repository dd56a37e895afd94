package smsgate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	body := []byte(`{"deviceId":"D1","event":"sms:delivered","id":"E1","payload":{"deliveredAt":"2026-02-18T02:10:00.` +
		`000+07:00","messageId":"otp-0001","phoneNumber":"+19162255887","recipient":"+19162255887","simNumber":2},` +
		`"webhookId":"W1"}`)
	const signature = "c4a8fea54c7e1bfedfc8b4e4263add65a10a079d8e03be379e610278e7a53962"
	g := &Channel{config: Config{WebhookWindow: time.Minute, SigningKeys: []string{"testkey8"}}}
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
	g.config.Devices = []Device{{ID: "D1", SigningKeys: []string{"next"}}, {ID: "D1", SigningKeys: []string{"now"}}}
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
