package memstore

// A wheel has a slot for each of the next 256 seconds and for each of the 64
// spans of 256 seconds from now, some four and a half hours in all. An entry
// that expires later waits in the last slot and moves to its place from there. For
// example, an entry that expires in an hour begins in the slot of its span.
const (
	fineSlots   = 1 << fineBits
	fineBits    = 8
	coarseSlots = 64
	second      = int64(1e9)
)

// The costs of a sweep: for each slot passed and for each entry looked at. A
// call's own sweep looks at 8 entries at most.
const (
	slotCost   = 1
	lookCost   = 8
	sweepCosts = 8 * lookCost
)

// grace is the time for which expired entries are kept: the most by which a call may be
// behind another, see package store. So a caller with a slow clock misses none.
const grace = 60 * second

// A wheel collects entries after their death. It moves only when a caller
// sweeps it, by the caller's time. Each entry is in one slot, no later than its
// death. A live entry moves on, so a life may be extended without a call of the
// wheel.
type wheel[T any, E entry[T]] struct {
	slots *wheelSlots[T] // nil until the first put
	n     int            // entries in all
	fineN int            // entries in fine slots
	next  int64          // the next second to sweep
}

type wheelSlots[T any] struct {
	fine   [fineSlots]*T
	coarse [coarseSlots]*T
}

// put adds e to the slot of its death.
func (w *wheel[T, E]) put(e *T) {
	if w.slots == nil {
		w.slots = new(wheelSlots[T])
	}
	l := E(e).links()
	at := max(ceilSeconds(l.expires), w.next)
	var slot **T
	fine := at-w.next < fineSlots
	if fine {
		slot = &w.slots.fine[at&(fineSlots-1)]
		w.fineN++
	} else {
		block := min(at>>fineBits, w.next>>fineBits+coarseSlots-1)
		slot = &w.slots.coarse[block&(coarseSlots-1)]
	}
	hang[T, E](&l.due, *slot)
	hang[T, E](slot, e)
	if p := E(e).place(); p != nil {
		p.fine = fine
	}
	w.n++
}

// hang makes slot point to e, which may be nil.
func hang[T any, E entry[T]](slot **T, e *T) {
	*slot = e
	if e == nil {
		return
	}
	if p := E(e).place(); p != nil {
		p.slot = slot
	}
}

// unhang removes the entry at slot from slot.
func unhang[T any, E entry[T]](slot **T) *T {
	e := *slot
	l := E(e).links()
	hang[T, E](slot, l.due)
	l.due = nil
	if p := E(e).place(); p != nil {
		p.slot = nil
	}
	return e
}

// remove removes e, which must be there and be removable.
func (w *wheel[T, E]) remove(e *T) {
	p := E(e).place()
	if p.fine {
		w.fineN--
	}
	w.n--
	unhang[T, E](p.slot)
}

// sweep collects entries that died by now with drop, at a cost of about costs,
// and reports whether there is more to do.
func (w *wheel[T, E]) sweep(now int64, costs int, drop func(*T)) (more bool) {
	to := floorSeconds(now)
	if w.n == 0 {
		w.next = to + 1
		return false
	}
	w.next = min(w.next, to+1)                                          // if the clock was set back
	w.next = max(w.next, (to-(coarseSlots+1)*fineSlots)&^(fineSlots-1)) // once around is enough
	for costs > 0 && w.next <= to {
		coarse := &w.slots.coarse[w.next>>fineBits&(coarseSlots-1)]
		fine := &w.slots.fine[w.next&(fineSlots-1)]
		switch {
		case w.next&(fineSlots-1) == 0 && *coarse != nil:
			w.visit(coarse, now, drop)
			costs -= lookCost
		case *fine != nil:
			w.fineN--
			w.visit(fine, now, drop)
			costs -= lookCost
		case w.fineN == 0:
			w.next = min((w.next|(fineSlots-1))+1, to+1)
			costs -= slotCost
		default:
			w.next++
			costs -= slotCost
		}
	}
	return w.next <= to
}

// visit takes the first entry out of slot and drops it or, if it lives, puts it
// in its present slot. That is never the old slot: an entry alive at now dies
// in a later second than the swept ones.
func (w *wheel[T, E]) visit(slot **T, now int64, drop func(*T)) {
	e := unhang[T, E](slot)
	w.n--
	if E(e).links().expires <= now {
		drop(e)
		return
	}
	w.put(e)
}

// dropOne finds an entry that died in the current second, which sweep has left
// to the next, and drops it. It reports whether there was one. It counts looks
// down for each live entry, because a second may have all entries of a spike.
func (w *wheel[T, E]) dropOne(now int64, looks *int, drop func(*T)) bool {
	if w.n == 0 {
		return false
	}
	at := ceilSeconds(now)
	if slot := find[T, E](&w.slots.fine[at&(fineSlots-1)], now, looks); slot != nil {
		w.fineN--
		w.visit(slot, now, drop)
		return true
	}
	if slot := find[T, E](&w.slots.coarse[at>>fineBits&(coarseSlots-1)], now, looks); slot != nil {
		w.visit(slot, now, drop)
		return true
	}
	return false
}

// find returns the place in slot of an entry that died by now, or nil.
func find[T any, E entry[T]](slot **T, now int64, looks *int) **T {
	for ; *slot != nil && *looks > 0; slot = &E(*slot).links().due {
		if E(*slot).links().expires <= now {
			return slot
		}
		*looks--
	}
	return nil
}

func floorSeconds(n int64) int64 {
	s := n / second
	if n < s*second {
		s--
	}
	return s
}

func ceilSeconds(n int64) int64 {
	s := floorSeconds(n)
	if s*second < n {
		s++
	}
	return s
}
