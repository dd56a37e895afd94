package pull

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// oneMinute is a message whose code lives for a minute.
func oneMinute(id string) *channel.Message {
	to := channel.Recipient{Phone: "+447700900123"}
	return &channel.Message{ID: id, To: to, Text: "582037", Expires: time.Now().Add(time.Minute)}
}

// TestLate hands out nothing late, even where the Send that should have
// withdrawn it is late itself.
func TestLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Config{Phones: []Phone{{ID: "pixel", Password: "secret"}}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := p.enqueue(oneMinute("one.1"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(55*time.Second + time.Nanosecond)
		if batch, messages := p.take("pixel", time.Now()); len(batch)+len(messages) != 0 {
			t.Errorf("handed out with less than %v to live: %v", minLife, messages)
		}
		if err := p.leave(e, sendError(channel.Expired, "late", nil)); channel.ClassOf(err) != channel.Expired {
			t.Error(err)
		}
	})
}

// TestSweep shows that a text goes when nobody can fetch it any more.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Config{Phones: []Phone{{ID: "pixel", Password: "secret"}}, Wait: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		e, err := p.enqueue(oneMinute("one.1"))
		if err != nil {
			t.Fatal(err)
		}
		batch, _ := p.take("pixel", time.Now())
		p.recordWrite(batch, true)
		time.Sleep(time.Minute)
		if e.text == "" {
			t.Fatal("the text has gone early")
		}
		if _, err := p.enqueue(oneMinute("two.1")); err != nil {
			t.Fatal(err)
		}
		if e.to != "" || e.text != "" || len(p.leases["pixel"]) != 0 {
			t.Error("the text of a code that has expired is still there")
		}
	})
}

// TestOthersAreBounded reports on more messages than are remembered.
func TestOthersAreBounded(t *testing.T) {
	t.Parallel()
	var o others
	for i := range 2 * maxHandedOut {
		o.record(fmt.Sprint("before.", i), channel.Sent)
		o.record(fmt.Sprint("before.", i), channel.Delivered)
	}
	if len(o.states) != maxHandedOut || len(o.order) != maxHandedOut {
		t.Errorf("%d states of %d messages", len(o.states), len(o.order))
	}
	if o.states[fmt.Sprint("before.", maxHandedOut)] != channel.Delivered {
		t.Error("the latest are not remembered")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	var failures throttle
	now := time.Now()
	for i := range 2 * throttleKeys {
		failures.failed(now, fmt.Sprint("remote ", i), "id pixel")
	}
	if n := len(failures.counts); n > throttleKeys+1 {
		t.Errorf("%d names are counted", n)
	}
	if failures.blocked(now, "id pixel") != throttlePer || failures.blocked(now.Add(throttlePer), "id pixel") != 0 {
		t.Error("the id is not blocked for a minute")
	}
}

func TestRemoteHost(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7:4711":            "192.0.2.7",
		"[::ffff:192.0.2.7]:4711":   "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"@":                         "@",
	} {
		if got := remoteHost(&http.Request{RemoteAddr: addr}); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
