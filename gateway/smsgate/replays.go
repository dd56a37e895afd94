package smsgate

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxReplays bounds how many webhooks are remembered.
const maxReplays = 100_000

// replays remembers the signatures of accepted webhooks while their time would
// still be accepted. At the bound the oldest is forgotten; it would be told as
// a state that is known already.
type replays struct {
	mu    sync.Mutex
	seen  map[[sha256.Size]byte]time.Time
	order []replay
}

type replay struct {
	mac [sha256.Size]byte
	at  time.Time
}

// begin notes a webhook, and reports whether it is new.
func (r *replays) begin(mac [sha256.Size]byte, now time.Time, keep time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && (now.Sub(r.order[0].at) > keep || len(r.order) >= maxReplays) {
		if first := r.order[0]; r.seen[first.mac].Equal(first.at) {
			delete(r.seen, first.mac)
		}
		r.order = r.order[1:]
	}
	if _, seen := r.seen[mac]; seen {
		return false
	}
	if r.seen == nil {
		r.seen = map[[sha256.Size]byte]time.Time{}
	}
	r.seen[mac] = now
	r.order = append(r.order, replay{mac, now})
	return true
}

// undo forgets a webhook that was not accepted.
func (r *replays) undo(mac [sha256.Size]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, mac)
}
