package evidence

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"time"
)

// A Delta is what one process has seen of a region and has not exchanged yet.
type Delta map[string]*Cell // by route

// note keeps what f counts for the next exchange.
func (e *Estimator) note(in, route string, f func(*Cell)) {
	d := e.deltas[in]
	if d == nil {
		if len(e.deltas) >= maxRegions {
			return
		}
		d = Delta{}
		e.deltas[in] = d
	}
	c := d[route]
	if c == nil {
		if len(d) >= MaxRoutes {
			return
		}
		c = &Cell{head: e.slot}
		d[route] = c
	}
	c.drop(e.slot)
	f(c)
}

// drop moves the ring on, and forgets what leaves it.
func (c *Cell) drop(n int64) {
	for ; c.head < n; c.head++ {
		c.ring[(c.head+1)%Slots] = counts{}
		if n-c.head > Slots {
			c.head = n - Slots - 1
		}
	}
}

// Keep makes the Estimator keep deltas for Take.
func (e *Estimator) Keep() { e.deltas = map[string]Delta{} }

// Regions returns the regions that there is anything of.
func (e *Estimator) Regions() []string { return slices.Sorted(maps.Keys(e.regions)) }

// Know adds a region that another process has seen.
func (e *Estimator) Know(region string) { e.region(region) }

// Take returns the evidence on a region since the Take before.
func (e *Estimator) Take(region string) Delta {
	d := e.deltas[region]
	delete(e.deltas, region)
	return d
}

// Return gives back a Delta that was not exchanged.
func (e *Estimator) Return(now time.Time, region string, d Delta) {
	e.refresh(now)
	for route, c := range d {
		e.note(region, route, func(own *Cell) { own.join(c) })
	}
}

// join adds the ring and the ages of a Delta's cell. Old evidence is left out.
func (c *Cell) join(d *Cell) {
	for n := d.head - Slots + 1; n <= d.head; n++ {
		if q := c.at(n); q != nil {
			q.add(&d.ring[n%Slots])
		}
	}
	for i := range d.ages {
		c.ages[i] += d.ages[i]
		c.verified += d.ages[i]
	}
}

// Merge returns the value that replaces the stored one once a Delta is added. It is
// printable, of limit octets at most: routes with the least evidence are left out. mark is
// drawn at random by the caller, so that no other process writes the same value.
func (e *Estimator) Merge(now time.Time, region string, stored []byte, d Delta, limit int, mark uint64) []byte {
	e.refresh(now)
	cells, err := decode(stored, e.slot)
	if err != nil {
		cells = map[string]*Cell{} // of another version, or damaged: begin anew
	}
	r := e.region(region)
	for route, c := range d {
		if cells[route] == nil && len(cells) < MaxRoutes {
			cells[route] = &Cell{head: c.head}
		}
	}
	for route, c := range cells {
		if own := e.current(r, route); own != nil {
			c.silence, c.muteness, c.floor = own.silence, own.muteness, own.floor
		}
		c.advance(e.slot, &e.p)
		if d[route] != nil {
			c.join(d[route])
		}
	}
	for {
		b := encode(cells, mark)
		if len(b) <= limit || len(cells) == 0 {
			return b
		}
		least := slices.MinFunc(slices.Sorted(maps.Keys(cells)), func(a, b string) int {
			return cmp.Compare(cells[a].messages(), cells[b].messages())
		})
		delete(cells, least)
	}
}

// Replace takes over the stored value of a region, and adds the evidence since. Of a
// route that the value lacks, only that is left: what one process saw of it is no evidence,
// since others see its verifications.
func (e *Estimator) Replace(now time.Time, region string, stored []byte) error {
	e.refresh(now)
	cells, err := decode(stored, e.slot)
	r := e.region(region)
	if err != nil || r == nil {
		return err
	}
	for route := range cells {
		e.cell(r, route)
	}
	for route, own := range r.cells {
		c := cells[route]
		if c == nil {
			c = &Cell{head: e.slot}
		}
		c.silence, c.muteness, c.floor = own.silence, own.muteness, own.floor
		c.advance(e.slot, &e.p)
		if d := e.deltas[region][route]; d != nil {
			c.join(d)
		}
		c.shown, c.seen, c.place, c.rank, c.kind = own.shown, own.seen, own.place, own.rank, own.kind
		c.loss, c.price, c.explored = own.loss, own.price, own.explored
		*own = *c
		e.deriveCell(r, route, own)
	}
	return nil
}

// layout is the first octet of a value. A reader of another begins anew.
const layout = 1

var errLayout = errors.New("evidence: the value is damaged, or of another version")

// scale is what counts are multiplied by, to be written as whole numbers.
const scale = 32

func (c *counts) fields() [7]*float64 {
	return [...]*float64{&c.sent, &c.open, &c.mute, &c.good, &c.got, &c.errors, &c.ratio}
}

func (c *Cell) totals() [7]*float64 {
	return [...]*float64{&c.tried, &c.good, &c.told, &c.got, &c.errors, &c.rate, &c.doubt}
}

func encode(cells map[string]*Cell, mark uint64) []byte {
	b := binary.AppendUvarint(binary.AppendUvarint([]byte{layout}, mark), uint64(len(cells)))
	number := func(x float64) { b = binary.AppendVarint(b, int64(math.Round(x*scale))) }
	for _, route := range slices.Sorted(maps.Keys(cells)) {
		c := cells[route]
		b = append(binary.AppendUvarint(b, uint64(len(route))), route...)
		b = binary.AppendVarint(binary.AppendVarint(b, c.head), c.alarm)
		for _, x := range c.totals() {
			number(*x)
		}
		for _, x := range c.ages {
			number(x)
		}
		filled := uint64(0)
		for i := range c.ring {
			if !c.ring[i].empty() {
				filled |= 1 << i
			}
		}
		b = binary.AppendUvarint(b, filled)
		for i := range c.ring {
			if !c.ring[i].empty() {
				for _, x := range c.ring[i].fields() {
					number(*x)
				}
			}
		}
	}
	return base64.RawStdEncoding.AppendEncode(nil, b)
}

// A reader takes values off b. It keeps that a value was missing or out of range.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint(most uint64) uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > most {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) string() string {
	n := min(int(r.uint(1<<12)), len(r.b))
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// ahead is how many slots the clock of another process may be ahead.
const ahead = 2

// decode reads what encode returned. No value makes no cells. One of a later time than
// slot is refused.
func decode(value []byte, slot int64) (map[string]*Cell, error) {
	cells := map[string]*Cell{}
	if len(value) == 0 {
		return cells, nil
	}
	b, err := base64.RawStdEncoding.DecodeString(string(value))
	if err != nil || len(b) == 0 || b[0] != layout {
		return nil, errLayout
	}
	r := reader{b: b[1:]}
	r.uint(math.MaxUint64) // the mark
	for range r.uint(MaxRoutes) {
		route, c := r.string(), &Cell{}
		c.head, c.alarm = r.int(), r.int()
		r.bad = r.bad || c.alarm < 0 || c.head < Slots || c.head > slot+ahead
		for _, x := range c.totals() {
			*x = max(float64(r.int())/scale, 0)
		}
		for i := range c.ages {
			c.ages[i] = max(float64(r.int())/scale, 0)
			c.verified += c.ages[i]
		}
		filled := r.uint(1<<Slots - 1)
		for i := range c.ring {
			if filled>>i&1 == 1 {
				for _, x := range c.ring[i].fields() {
					*x = float64(r.int()) / scale
				}
			}
		}
		if r.bad || cells[route] != nil {
			return nil, errLayout
		}
		cells[route] = c
	}
	if r.bad || len(r.b) > 0 {
		return nil, errLayout
	}
	return cells, nil
}
