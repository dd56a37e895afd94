package smsgate

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
)

// A target is the phone and the SIM that a message goes to.
type target struct {
	device string // empty: the phone that serves the API
	sim    int    // 0: the setting of the phone
}

// A slot is a SIM that could be used.
type slot struct {
	target
	countries []string
	lastSeen  time.Time
}

// local is the SIM to use of a phone that serves the API itself.
func (d *devices) local(m *channel.Message) target {
	to := target{sim: d.channel.config.SIM}
	region, _ := phone.Region(m.To.Phone)
	best := 3
	for _, c := range d.channel.config.Devices {
		if r := rank(c.Countries, region); r < best {
			best, to.sim = r, cmp.Or(c.SIM, d.channel.config.SIM)
		}
	}
	return to
}

// rank returns how well a SIM fits a country: its own, none in particular,
// another.
func rank(countries []string, region string) int {
	switch {
	case len(countries) == 0:
		return 1
	case slices.Contains(countries, region):
		return 0
	}
	return 2
}

func stale(s slot, now time.Time) int {
	if !s.lastSeen.IsZero() && now.Sub(s.lastSeen) > freshFor {
		return 1
	}
	return 0
}

// slots lists the SIMs that may be used.
func (d *devices) slots(ctx context.Context) ([]slot, error) {
	configured := d.channel.config.Devices
	another := func(c Device) bool { return c.ID != configured[0].ID }
	if len(configured) > 0 && !slices.ContainsFunc(configured, another) {
		return d.expand(nil, true), nil // there is nothing to choose from but its SIMs
	}
	listed, err := d.list(ctx)
	if err != nil {
		if len(configured) > 0 && channel.ClassOf(err) != channel.Misconfigured && ctx.Err() == nil {
			return d.expand(nil, true), nil
		}
		return nil, err
	}
	slots := d.expand(listed, false)
	if len(slots) > 0 {
		return slots, nil
	}
	for i := range listed {
		listed[i].Active = true
	}
	if len(d.expand(listed, false)) > 0 {
		return nil, &channel.Error{Class: channel.Temporary, Op: opDevices, Err: errAway}
	}
	return nil, &channel.Error{Class: channel.Misconfigured, Op: opDevices, Err: errNoPhones}
}

// expand makes slots of the configured devices and the server's list. If blindly,
// devices that are not in the list are used as well.
func (d *devices) expand(listed []Phone, blindly bool) []slot {
	var slots []slot
	configured := d.channel.config.Devices
	if len(configured) == 0 {
		for _, p := range listed {
			configured = append(configured, Device{ID: p.ID})
		}
	}
	for _, c := range configured {
		i := slices.IndexFunc(listed, func(p Phone) bool { return p.ID == c.ID })
		if i < 0 && blindly {
			i = len(listed)
			listed = append(listed, Phone{ID: c.ID, Active: true})
		}
		if i < 0 || !listed[i].Active {
			continue
		}
		sim := cmp.Or(c.SIM, d.channel.config.SIM)
		own := slot{target{device: c.ID, sim: sim}, c.Countries, listed[i].LastSeen}
		for _, s := range listed[i].sims {
			switch {
			case len(c.Countries) > 0:
			case sim == s.slot:
				own.countries = []string{s.region}
			case sim == 0:
				slots = append(slots, slot{target{device: c.ID, sim: s.slot}, []string{s.region}, own.lastSeen})
			}
		}
		slots = append(slots, own)
	}
	return slots
}
