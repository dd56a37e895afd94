package pull_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	phones := []pull.Phone{{ID: "pixel", Password: "p"}}
	for want, c := range map[string]pull.Config{
		"pull: Config.Phones: is required":                                {},
		"pull: Config.Phones[0].ID: is required":                          {Phones: []pull.Phone{{Password: "p"}}},
		"pull: Config.Phones[1].ID: is that of another phone":             {Phones: append(phones, phones[0])},
		"pull: Config.Phones[0].Password: is required, or WeakHashSecret": {Phones: []pull.Phone{{ID: "pixel"}}},
		"pull: Config.Wait: -1ns is negative":                             {Phones: phones, Wait: -1},
		"pull: Config.Lease: -1ns is negative":                            {Phones: phones, Lease: -1},
		"pull: Config.MaxQueue: is negative":                              {Phones: phones, MaxQueue: -1},
	} {
		if p, err := pull.New(c); p != nil || err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var log bytes.Buffer
	phone := pull.Phone{ID: "pixel", Password: "hunter2", WeakHashSecret: "hunter2"}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "phone", phone)
	fmt.Fprintf(&log, "%v %+v %#v %+v", phone, phone, phone, pull.Config{Phones: []pull.Phone{phone}})
	if strings.Contains(log.String(), "hunter2") {
		t.Error(log.String())
	}
	p := newChannel(t, pull.Config{Phones: phones})
	for what, change := range map[string]func(*channel.Message){
		"id":   func(m *channel.Message) { m.ID = "" },
		"form": func(m *channel.Message) { m.ID = "c4n7_1" },
		"text": func(m *channel.Message) { m.Text = "" },
	} {
		m := message("one.1")
		change(m)
		if _, err := p.Send(t.Context(), m); err == nil || channel.ClassOf(err) != channel.Misconfigured {
			t.Errorf("no %s: %v", what, err)
		}
	}
}

// TestPrints prints a Channel in the ways that a program does without thinking.
func TestPrints(t *testing.T) {
	t.Parallel()
	c := pull.Config{Phones: []pull.Phone{{ID: "pixel", Password: "hunter2", WeakHashSecret: "tr0ub4dor"}}}
	p, err := pull.New(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %v", p, p, p, p, p.LogValue()) +
		fmt.Sprintf("%v %+v %#v %#v %v", c, c, c, c.Phones, c.LogValue())
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, "tr0ub4dor") {
		t.Error(shown)
	}
}
