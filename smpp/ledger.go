package smpp

import (
	"fmt"
	"hash/maphash"
	"math/big"
	"strings"
	"sync"
	"time"
)

// A ledger remembers the message ids of the SMSC's responses. It detects a receipt
// for no message, and an id for two messages. It holds a hash of each id. A client
// has a ledger if it has a Config.Receipt.
type ledger struct {
	wait   time.Duration // longest time from the receipt to the response
	report func(unmatched)
	done   chan struct{} // closed by stop

	mu      sync.Mutex
	seed    maphash.Seed
	ids     map[uint64]struct{}
	order   []uint64 // of ids; a ring once it is full
	oldest  int      // index in order
	late    map[string]string
	lateIDs []string // keys of late, oldest first
	waiting []unmatched
	waits   bool // a goroutine awaits the end of waiting
}

// Limits of a ledger.
const (
	maxIDs       = 100_000
	maxLate      = 10_000
	maxUnmatched = 1000
)

// An unmatched is a receipt whose id is not in the ledger.
type unmatched struct {
	id      string
	at      time.Time
	counted *bindCounters
	host    string
	hint    string // set at the end
}

func newLedger(wait time.Duration, report func(unmatched)) *ledger {
	return &ledger{
		wait: wait, report: report, done: make(chan struct{}), seed: maphash.MakeSeed(),
		ids: map[uint64]struct{}{}, late: map[string]string{},
	}
}

// stop ends the wait for responses: no more can come. A nil ledger has none.
func (l *ledger) stop() {
	if l != nil {
		close(l.done)
	}
}

// add notes an id from the SMSC, and reports whether the SMSC had used it before.
func (l *ledger) add(id string) (again bool) {
	h := maphash.String(l.seed, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, again = l.ids[h]; again {
		return true
	}
	l.ids[h] = struct{}{}
	if len(l.order) < maxIDs {
		l.order = append(l.order, h)
		return false
	}
	delete(l.ids, l.order[l.oldest])
	l.order[l.oldest] = h
	l.oldest = (l.oldest + 1) % maxIDs
	return false
}

// addLate notes the message of an id that came after the message's Send returned.
func (l *ledger) addLate(id, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.late[id]; !ok {
		if len(l.lateIDs) == maxLate {
			delete(l.late, l.lateIDs[0])
			l.lateIDs = l.lateIDs[1:]
		}
		l.lateIDs = append(l.lateIDs, id)
	}
	l.late[id] = message
}

// message returns the message of an id noted by addLate, or "".
func (l *ledger) message(id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.late[id]
}

func (l *ledger) has(id string) bool {
	_, ok := l.ids[maphash.String(l.seed, id)]
	return ok
}

// match looks for the message of a receipt. If the receipt came before the
// response, it waits as long as the response may take; spawn starts the goroutine
// that waits.
func (l *ledger) match(u unmatched, spawn func(func())) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.has(u.id) || len(l.waiting) == maxUnmatched { // as many are being reported already
		return
	}
	l.waiting = append(l.waiting, u)
	if !l.waits {
		l.waits = true
		spawn(l.await)
	}
}

// await reports the receipts without a response in time, until stop.
func (l *ledger) await() {
	for {
		due, next := l.due(time.Now())
		for _, u := range due {
			l.report(u)
		}
		if next.IsZero() {
			return
		}
		t := time.NewTimer(time.Until(next))
		select {
		case <-t.C:
		case <-l.done:
			t.Stop()
			return
		}
	}
}

// due removes the receipts whose time is over. It returns those without a message,
// and the time of the next. If no receipt is left, the goroutine must end.
func (l *ledger) due(now time.Time) (all []unmatched, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 {
		u := l.waiting[0]
		if end := u.at.Add(l.wait); end.After(now) {
			return all, end
		}
		l.waiting = l.waiting[1:]
		if !l.has(u.id) {
			u.hint = l.hint(u.id)
			all = append(all, u)
		}
	}
	l.waits = false
	return all, time.Time{}
}

// hint returns the probable reason why a receipt matches nothing, above all that
// the SMSC writes ids in two bases. l.mu is held.
func (l *ledger) hint(id string) string {
	const set = "a submitted message has this id in another form: set Config.SubmitIDs to %s and ReceiptIDs to %s"
	if n, ok := new(big.Int).SetString(id, 10); ok && l.hasAny("%x", "%X", "%08x", "%08X", n) {
		return fmt.Sprintf(set, "IDHex", "IDDecimal")
	}
	if n, ok := new(big.Int).SetString(id, 16); ok {
		if l.hasAny("%d", "%010d", "%020d", "%08d", n) {
			return fmt.Sprintf(set, "IDDecimal", "IDHex")
		}
		if l.hasAny("%x", "%X", "%08x", "%08X", n) {
			return fmt.Sprintf(set, "IDHex", "IDHex")
		}
	}
	if upper, lower := strings.ToUpper(id), strings.ToLower(id); l.has(upper) || l.has(lower) {
		return "a submitted message has this id in another case"
	}
	return "no message of this client has this id: another process or an earlier one sent it, or the SMSC writes ids" +
		" in hexadecimal here and in decimal there (Config.SubmitIDs and ReceiptIDs)"
}

func (l *ledger) hasAny(a, b, c, d string, n *big.Int) bool {
	for _, format := range []string{a, b, c, d} {
		if l.has(fmt.Sprintf(format, n)) {
			return true
		}
	}
	return false
}

// maskID shows only the ends of a message id.
func maskID(id string) string {
	if len(id) < 6 {
		return "***"
	}
	return id[:2] + "***" + id[len(id)-2:]
}
