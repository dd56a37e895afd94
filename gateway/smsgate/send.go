package smsgate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const opSend = "smsgate: send"

// sendable are the requirements of a message.
var sendable = message.Rules{Op: opSend, Life: minTTL, ID: true, Text: true}

// maxTries is how often a message is submitted to one phone while its fate is not
// known, and how often the server is then asked for it.
const maxTries = 3

// messageBody is the body of POST /messages.
type messageBody struct {
	ID                 string   `json:"id"`
	DeviceID           string   `json:"deviceId,omitempty"`
	TextMessage        textBody `json:"textMessage"`
	PhoneNumbers       []string `json:"phoneNumbers"`
	SIMNumber          int      `json:"simNumber,omitempty"`
	TTL                int64    `json:"ttl"`
	Priority           int      `json:"priority"`
	WithDeliveryReport bool     `json:"withDeliveryReport"`
	IsEncrypted        bool     `json:"isEncrypted,omitempty"`
}

type textBody struct {
	Text string `json:"text"`
}

// A dispatch takes one message to one of the phones.
type dispatch struct {
	channel      *Channel
	m            *channel.Message
	text, number string // as they are sent: encrypted, if at all
}

// run submits the message to the best phone, and to the next one only if the
// server says that it has not taken it for a reason of that phone.
func (d *dispatch) run(ctx context.Context) error {
	if err := d.encrypt(ctx); err != nil {
		return err
	}
	var refused []string
	var last error
	for {
		to, accepted, err := d.channel.devices.choose(ctx, d.m, refused)
		switch {
		case errors.Is(err, errNoneLeft) && last != nil:
			return last
		case accepted, err != nil:
			return err
		}
		last = d.submit(ctx, to)
		d.channel.devices.record(d.m.ID, to, last)
		if !ofDevice(last) {
			return last
		}
		refused = append(refused, to.device)
	}
}

func (d *dispatch) encrypt(ctx context.Context) error {
	d.text, d.number = d.m.Text, d.m.To.Phone
	if d.channel.config.Passphrase == "" {
		return nil
	}
	for _, s := range []*string{&d.text, &d.number} {
		if ctx.Err() != nil {
			return &channel.Error{Class: channel.Temporary, Op: opSend, Err: context.Cause(ctx)}
		}
		sealed, err := encrypt(d.channel.config.Passphrase, *s)
		if err != nil {
			return &channel.Error{Class: channel.Misconfigured, Op: opSend, Err: err}
		}
		*s = sealed
	}
	return nil
}

// submit submits the message to one phone until it is known to be accepted or
// refused. To submit it again is safe: the server knows its id at this phone. If no
// try was answered, submit asks the server for the message.
func (d *dispatch) submit(ctx context.Context, to target) error {
	var unknown error
	for try := 1; ; try++ {
		err := d.post(ctx, to)
		switch {
		case err == nil:
			return nil
		case channel.ClassOf(err) != channel.Unknown:
			return d.doubt(ctx, unknown, err)
		case unknown == nil:
			unknown = err
		}
		if try == maxTries || !pause(ctx, try) {
			return d.ask(ctx, unknown)
		}
	}
}

// ask returns nil if the server has the message, whose submission was not answered,
// or else unknown: if the server does not have the message, it may be on its way.
func (d *dispatch) ask(ctx context.Context, unknown error) error {
	for try := 1; ; try++ {
		parts := time.Duration(2)
		if try == maxTries {
			parts = 1
		}
		asking, cancel := web.Share(ctx, parts)
		has, _ := d.channel.exists(asking, d.m.ID)
		cancel()
		switch {
		case has:
			return nil
		case try == maxTries || !pause(ctx, try):
			return unknown
		}
	}
}

// doubt judges a refusal if the fate of another try, of this call or another, is
// not known. The server may have that try's message: it looks at its queue, for
// example, before it looks at the id.
func (d *dispatch) doubt(ctx context.Context, unknown, refused error) error {
	held, now := d.channel.devices.others(d.m.ID)
	if unknown == nil && !held && !now {
		return refused
	}
	if unknown != nil {
		return d.ask(ctx, unknown)
	}
	has, err := d.channel.exists(ctx, d.m.ID)
	switch {
	case has:
		return nil
	case err != nil:
		return &channel.Error{Class: channel.Unknown, Op: opSend, Err: err}
	case now:
		return &channel.Error{Class: channel.Unknown, Op: opSend, Code: refusedCode(refused), Err: errShared}
	}
	return refused
}

// post submits the message once. It takes a share of the time, so that a try that
// is not answered leaves some for another, and for asking.
func (d *dispatch) post(ctx context.Context, to target) error {
	now := time.Now()
	ctx, cancel := web.Share(ctx, 2)
	defer cancel()
	ttl := defaultLife
	if !d.m.Expires.IsZero() {
		ttl = d.m.Expires.Sub(now)
	}
	if ttl < minTTL {
		return &channel.Error{Class: channel.Expired, Op: opSend, Err: message.ErrExpired}
	}
	body, err := json.Marshal(messageBody{
		ID: d.m.ID, DeviceID: to.device, TextMessage: textBody{d.text}, PhoneNumbers: []string{d.number},
		SIMNumber: to.sim, TTL: int64(ttl / time.Second), Priority: d.channel.config.Priority,
		WithDeliveryReport: !d.channel.config.NoDeliveryReport, IsEncrypted: d.channel.config.Passphrase != "",
	})
	if err != nil {
		return &channel.Error{
			Class: channel.Misconfigured, Op: opSend, Err: errors.New("the message cannot be written as JSON"),
		}
	}
	resp, err := d.channel.call(ctx, request{
		op: opSend, method: http.MethodPost, path: "messages", query: d.channel.sendQuery(), body: body,
	})
	switch {
	case err != nil:
		return err
	case resp.OK(), resp.Status == http.StatusConflict: // conflict: an earlier try was accepted
		return nil
	}
	return refusal(opSend, resp, time.Now())
}

func (c *Channel) sendQuery() url.Values {
	q := url.Values{}
	if c.config.SkipPhoneValidation {
		q.Set("skipPhoneValidation", "true")
	}
	if c.config.ActiveWithin > 0 && !c.onPhone() {
		hours := (c.config.ActiveWithin + time.Hour - 1) / time.Hour
		q.Set("deviceActiveWithin", strconv.FormatInt(int64(hours), 10))
	}
	return q
}

// pause waits before a further try, and reports whether ctx still holds.
func pause(ctx context.Context, try int) bool {
	t := time.NewTimer(time.Duration(try*try) * 50 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
