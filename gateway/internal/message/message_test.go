package message_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

func TestRules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 22, 45, 0, time.UTC)
	strict := message.Rules{Op: "carrier: send", Life: 5 * time.Second, ID: true, Text: true}
	lax := message.Rules{Op: "carrier: send", Life: time.Second}
	for name, row := range map[string]struct {
		change      func(*channel.Message)
		strict, lax channel.Class // 0: accepted
	}{
		"as it must be": {func(*channel.Message) {}, 0, 0},
		"without end":   {func(m *channel.Message) { m.Expires = time.Time{} }, 0, 0},
		"over":          {func(m *channel.Message) { m.Expires = now }, channel.Expired, channel.Expired},
		"nearly over":   {func(m *channel.Message) { m.Expires = now.Add(4 * time.Second) }, channel.Expired, 0},
		"in time":       {func(m *channel.Message) { m.Expires = now.Add(5 * time.Second) }, 0, 0},
		"no number": {
			func(m *channel.Message) { m.To = channel.Recipient{Email: "ann@example.com"} },
			channel.InvalidRecipient, channel.InvalidRecipient,
		},
		"a local number": {
			func(m *channel.Message) { m.To.Phone = "9162255887" },
			channel.InvalidRecipient, channel.InvalidRecipient,
		},
		"no id":   {func(m *channel.Message) { m.ID = "" }, channel.Misconfigured, 0},
		"no text": {func(m *channel.Message) { m.Text = "" }, channel.Misconfigured, 0},
	} {
		m := &channel.Message{
			ID: "c4n7.1", To: channel.Recipient{Phone: "+19162255887"}, Text: "582037", Expires: now.Add(time.Minute),
		}
		row.change(m)
		for rules, want := range map[message.Rules]channel.Class{strict: row.strict, lax: row.lax} {
			err := rules.Check(m, now)
			if want == 0 {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			e, ok := errors.AsType[*channel.Error](err)
			if !ok || e.Class != want || e.Op != rules.Op || strings.Contains(err.Error(), "9162255887") {
				t.Errorf("%s: %v, want class %v", name, err, want)
			}
		}
	}
}

// Each kind of address is asked for, and no other serves.
func TestRulesOfAnAddress(t *testing.T) {
	t.Parallel()
	all := map[channel.Address]channel.Recipient{
		channel.Phone: {Phone: "+19162255887"}, channel.Email: {Email: "ann@example.com"},
		channel.Push: {Push: "token"}, channel.Chat: {Chat: "telegram:4711"},
	}
	for wanted := range all {
		for given, to := range all {
			err := message.Rules{Op: "carrier: send", Address: wanted}.Check(&channel.Message{To: to}, time.Now())
			if (err == nil) != (wanted == given) || err != nil && channel.ClassOf(err) != channel.InvalidRecipient {
				t.Errorf("%v for %v: %v", given, wanted, err)
			}
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"c4n7.1": true, "A-z.9": true, strings.Repeat("x", 36): true,
		"": false, ".": false, "..": false, "a/b": false, "a b": false, "ä": false, strings.Repeat("x", 37): false,
	} {
		if message.ValidID(id) != want {
			t.Errorf("%q: %t", id, !want)
		}
	}
}
