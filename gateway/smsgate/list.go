package smsgate

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opDevices = "smsgate: devices"

	// listLife is how long a list of phones is used, and listGrace how long
	// if no newer one can be had.
	listLife  = 30 * time.Second
	listGrace = 10 * time.Minute

	// listPause is how long the server is not asked after it gave no list.
	listPause = 10 * time.Second
)

// A Phone is a phone of the account.
type Phone struct {
	ID, Name string
	LastSeen time.Time // when the server has seen the phone
	Active   bool      // LastSeen is within Config.ActiveWithin, or that is zero
	sims     []simCard
}

type simCard struct {
	slot   int
	region string // of its number; empty: not known
}

// Devices lists the phones of the account, including those that Config.Devices
// leaves out. A phone that serves the API itself has no list: the error's class is
// Misconfigured.
func (c *Channel) Devices(ctx context.Context) ([]Phone, error) {
	ctx, end, err := c.life.Begin(ctx, opDevices, time.Time{})
	if err != nil {
		return nil, err
	}
	defer end()
	return c.listDevices(ctx)
}

func (c *Channel) listDevices(ctx context.Context) ([]Phone, error) {
	now := time.Now()
	resp, err := c.call(ctx, request{op: opDevices, method: http.MethodGet, path: "devices"})
	if err != nil {
		return nil, web.NotSent(err)
	}
	if !resp.OK() {
		return nil, web.NotSent(refusal(opDevices, resp, now))
	}
	var list []struct {
		ID        string     `json:"id"`
		Name      string     `json:"name"`
		LastSeen  time.Time  `json:"lastSeen"`
		DeletedAt *time.Time `json:"deletedAt"`
		SIMCards  []struct {
			SIMNumber   int    `json:"simNumber"`
			PhoneNumber string `json:"phoneNumber"`
		} `json:"simCards"`
	}
	if err := decode(opDevices, resp, &list); err != nil {
		return nil, err
	}
	var all []Phone
	for _, d := range list {
		if d.ID == "" || d.DeletedAt != nil {
			continue
		}
		p := Phone{ID: d.ID, Name: d.Name, LastSeen: d.LastSeen, Active: true}
		if within := c.config.ActiveWithin; within > 0 {
			p.Active = now.Sub(d.LastSeen) <= within
		}
		for _, s := range d.SIMCards {
			if region, ok := phone.Region(s.PhoneNumber); ok && s.SIMNumber >= 1 && s.SIMNumber <= 3 {
				p.sims = append(p.sims, simCard{s.SIMNumber, region})
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// list returns the phones, from memory if that is fresh. One call fetches them
// for all that wait. If an older list is at hand or the phones are configured,
// fetching takes only a part of the time, and the rest is for sending.
func (d *devices) list(ctx context.Context) ([]Phone, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, &channel.Error{Class: channel.Temporary, Op: opDevices, Err: context.Cause(ctx)}
	}
	d.mu.Lock()
	listed, age, failed, err := slices.Clone(d.listed), time.Since(d.at), time.Since(d.failed), d.cause
	d.mu.Unlock()
	if listed != nil && age < listLife {
		return listed, nil
	}
	older := listed != nil && age < listGrace
	spare := older || len(d.channel.config.Devices) > 0
	if !spare || err == nil || failed >= listPause {
		var fresh []Phone
		if fresh, err = d.fetch(ctx, spare); err == nil {
			return fresh, nil
		}
	}
	if older && ctx.Err() == nil && channel.ClassOf(err) != channel.Misconfigured {
		return listed, nil
	}
	return nil, err
}

// fetch asks the server for its phones; if hastily, for a third of the time that
// is left at most.
func (d *devices) fetch(ctx context.Context, hastily bool) ([]Phone, error) {
	if hastily {
		var cancel context.CancelFunc
		ctx, cancel = web.Share(ctx, 3)
		defer cancel()
	}
	fresh, err := d.channel.listDevices(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failed, d.cause = time.Now(), err
		return nil, err
	}
	d.listed, d.at, d.cause = fresh, time.Now(), nil
	return slices.Clone(fresh), nil
}
