package gatewaytest

import (
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// A Plan says how a phone treats a message. The zero value sends it and reports
// that, and its delivery if the message asks for a report.
type Plan struct {
	// Delay is the time before the phone fetches the message.
	Delay time.Duration

	// Final is the last state of the message. With Pending the phone takes the
	// message and reports nothing. With Processed it hangs. Failed comes
	// instead of Sent. Default: Delivered if the message asks for a report,
	// else Sent.
	Final State

	// Reason is reported with Failed. Default "RESULT_ERROR_GENERIC_FAILURE".
	Reason string

	// Between is the pause before each report and its webhook.
	Between time.Duration

	// Late is the delay of the webhooks; the server gets the reports in time.
	Late time.Duration

	// Copies is how often each webhook is posted, each with an id of its own.
	// Default 1.
	Copies int

	// Reversed posts the webhooks in the opposite order, after the last report.
	Reversed bool

	// NoWebhooks and NoReports leave out one of the two kinds of report.
	NoWebhooks, NoReports bool
}

// On sets the plans for messages to a number, in order. The last plan is
// repeated. Without plans the number has the default again.
func (p *Phone) On(number string, plans ...Plan) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.on[number] = slices.Clone(plans)
}

// Next sets the plan for the next n messages, whatever their number.
func (p *Phone) Next(n int, plan Plan) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	for range n {
		p.next = append(p.next, plan)
	}
}

// planFor chooses the plan by a message's first number.
func (p *Phone) planFor(c content) Plan {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	if len(p.next) > 0 {
		plan := p.next[0]
		p.next = p.next[1:]
		return plan
	}
	if plans := p.on[c.numbers[0]]; len(plans) > 0 && c.err == nil {
		if len(plans) > 1 {
			p.on[c.numbers[0]] = plans[1:]
		}
		return plans[0]
	}
	return p.config.Plan
}

// run is the loop of a phone that acts by itself.
func (p *Phone) run() {
	for {
		for _, m := range p.Take() {
			c := p.open(m)
			plan := p.planFor(c)
			p.server.spawn(func() { p.carry(m, c, plan) })
		}
		select {
		case <-p.wake:
		case <-p.server.running.Done():
			return
		}
	}
}

// carry takes one message through its plan.
func (p *Phone) carry(m Message, c content, plan Plan) {
	if !p.server.pause(plan.Delay) || !p.online() || !p.claim(m) {
		return
	}
	var held []step
	for _, st := range steps(m, c, plan) {
		if !p.server.pause(plan.Between) || !p.online() {
			return
		}
		if st.state == Sent {
			p.transmit(m, c)
		}
		if !plan.NoReports {
			p.Report(m.ID, st.state, st.reason)
		}
		if plan.Reversed {
			held = append(held, st)
			continue
		}
		p.tell(m, c, st, plan)
	}
	for _, st := range slices.Backward(held) {
		p.tell(m, c, st, plan)
	}
}

// claim reports whether the message is still wanted after the phone's delay.
func (p *Phone) claim(m Message) bool {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	own := p.server.find1(m.ID, p.config.ID)
	if own.State == Cancelling {
		own.set(Cancelled, "", time.Now())
	}
	return own.State == Pending
}

// A step is a state with its report.
type step struct {
	state  State
	event  string // empty: no event
	reason string
	times  int // the event comes once for each part
}

// steps lists the states that a message goes through.
func steps(m Message, c content, plan Plan) []step {
	failed := step{state: Failed, event: "sms:failed", reason: plan.Reason, times: 1}
	switch {
	case plan.Final == Pending:
		return nil
	case !m.ValidUntil.IsZero() && !time.Now().Before(m.ValidUntil):
		failed.reason = "TTL expired"
		return []step{failed}
	case c.err != nil:
		failed.reason = "decryption failed"
		return []step{failed}
	case failed.reason == "":
		failed.reason = "RESULT_ERROR_GENERIC_FAILURE"
	}
	all := []step{{state: Processed}}
	switch plan.Final {
	case Processed:
		return all
	case Failed:
		return append(all, failed)
	}
	all = append(all, step{state: Sent, event: "sms:sent", times: 1})
	if plan.Final == Delivered || plan.Final == "" && m.DeliveryReport {
		all = append(all, step{state: Delivered, event: "sms:delivered", times: sms.Measure(c.text).Segments})
	}
	return all
}

// tell posts a step's webhooks.
func (p *Phone) tell(m Message, c content, st step, plan Plan) {
	if st.event == "" || plan.NoWebhooks {
		return
	}
	for _, number := range c.numbers {
		for range st.times * max(plan.Copies, 1) {
			e := Event{Name: st.event, MessageID: m.ID, Number: number, SIM: m.SIM, Reason: st.reason, At: time.Now()}
			p.dispatch(e, plan.Late)
		}
	}
}

// online waits until the phone is on the network. It reports false if the
// server is closed first.
func (p *Phone) online() bool {
	err := p.server.wait(p.server.running, "phones", 1, func() int {
		p.server.mu.Lock()
		defer p.server.mu.Unlock()
		if p.offline {
			return 0
		}
		return 1
	})
	return err == nil
}
