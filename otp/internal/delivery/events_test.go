package delivery

import (
	"testing"
	"time"
)

var open = Challenge{Open: true, Expires: at(expires)}

func took(route string, providers ...string) Outcome {
	return Outcome{Message: Message{Route: route, Kind: 1, Providers: providers}, Taken: true,
		Tried: []string{route}, Used: 1}
}

// A long message has arrived once all its parts have, in any order, before its
// outcome is known too.
func TestParts(t *testing.T) {
	d := New(at(0), at(lease), 0, Charge{})
	part := func(i int) { d.Receive(Receipt{Step: 1, Route: "A", Arrived: true, Index: i, Number: 3}) }
	part(2)
	d.Finish(Attempt{1, 1}, took("A", "x", "y", "z"))
	part(0)
	part(0)
	if d.Phase != Sent {
		t.Fatalf("%v with two parts of three", d.Phase)
	}
	if part(1); d.Phase != Delivered {
		t.Fatalf("%v with all parts", d.Phase)
	}
}

// A failure that is reported before the outcome leads to the next route.
func TestEarlyFailure(t *testing.T) {
	for route, want := range map[string]Phase{"A": Due, "B": Sent} {
		d := New(at(0), at(lease), 0, Charge{})
		d.Receive(Receipt{Step: 1, Route: route})
		o := took("A", "x")
		o.Await = at(3)
		d.Finish(Attempt{1, 1}, o)
		if d.Phase != want {
			t.Errorf("after a failure of %s: %v, want %v", route, d.Phase, want)
		}
	}
}

// What arrives late, after the next route was begun, ends the delivery; and the
// message of that route can be withdrawn all the same.
func TestLateDelivered(t *testing.T) {
	d := New(at(0), at(lease), 0, Charge{})
	o := took("A", "x")
	o.Await = at(1)
	d.Finish(Attempt{1, 1}, o)
	if _, ok := d.Claim(open, at(1), at(3), 0); !ok || d.Attempt.Step != 2 {
		t.Fatal("no next route")
	}
	d.Receive(Receipt{Step: 1, Route: "A", Arrived: true, Number: 1})
	o = took("B", "y")
	o.Await = at(2)
	d.Finish(Attempt{2, 1}, o)
	if m := d.Next(open, at(5)); d.Phase != Delivered || m.Do != Nothing || len(d.Older) != 0 {
		t.Errorf("%+v, next %+v", d, m)
	}
}

// Outstanding lists older messages too, unless the code came with the only one.
func TestOutstanding(t *testing.T) {
	d := New(at(0), at(lease), 0, Charge{})
	o := took("A", "x")
	o.Await = at(1)
	d.Finish(Attempt{1, 1}, o)
	proven, cancelled := Challenge{Proven: true, Expires: at(9)}, Challenge{Expires: at(9)}
	if n := len(d.Outstanding(proven)); n != 0 {
		t.Errorf("%d after the only message proved the code", n)
	}
	if n := len(d.Outstanding(cancelled)); n != 1 {
		t.Errorf("%d of a cancelled challenge", n)
	}
	d.Claim(open, at(1), at(3), 0)
	d.Finish(Attempt{2, 1}, took("B", "y"))
	if n := len(d.Outstanding(proven)); n != 2 || d.Next(proven, at(2)).Do != Withdraw {
		t.Errorf("%d after two messages", n)
	}
}

func TestSends(t *testing.T) {
	waits := []time.Duration{30 * time.Second, 60 * time.Second, 60 * time.Second, 60 * time.Second}
	d := New(at(0), at(lease), 0, Charge{})
	d.Finish(Attempt{1, 1}, took("A", "x"))
	if got := d.ResendAt(waits, 40*time.Second); !got.Equal(at(40)) || d.SendsLeft(len(waits)) != 4 {
		t.Errorf("sent: %v, %d left", got, d.SendsLeft(len(waits)))
	}
	d.Receive(Receipt{Step: 1, Route: "A", Arrived: true})
	if got := d.ResendAt(waits, 40*time.Second); !got.Equal(at(30)) || d.SendsLeft(len(waits)) != 2 {
		t.Errorf("delivered: %v, %d left", got, d.SendsLeft(len(waits)))
	}
	d.Resend("", "", 0, at(40), Charge{})
	m := d.Next(Challenge{Open: true, Expires: at(1000)}, at(40))
	if m.Do != Send || m.Step != 2 || d.SendsLeft(len(waits)) != 1 {
		t.Errorf("resend: %+v, %d left", m, d.SendsLeft(len(waits)))
	}
}
