package pull_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
)

// idempotentPhone polls all the time, and knows what it was handed.
type idempotentPhone struct {
	mu     sync.Mutex
	handed map[string]bool
	away   bool
}

func (p *idempotentPhone) read(body []byte) {
	var answer struct{ Messages []handed }
	_ = json.Unmarshal(body, &answer)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range answer.Messages {
		p.handed[m.ID] = true
	}
}

func TestConformance(t *testing.T) {
	channeltest.Run(t, channeltest.Harness{
		Address:     channel.Phone,
		ProviderIDs: true,
		Idempotent:  true,
		New: func(t testing.TB) channeltest.Subject {
			c, _ := twoPhones()
			c.Wait = 2 * time.Second
			ch := newChannel(t, c)
			phone := &idempotentPhone{handed: make(map[string]bool)}
			l := &line{Handler: ch, seen: phone.read}
			stop := make(chan struct{})
			var loop sync.WaitGroup
			loop.Go(func() {
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
					}
					phone.mu.Lock()
					away := phone.away
					phone.mu.Unlock()
					if !away {
						poller{t, l, "pixel"}.tryPoll()
					}
				}
			})
			t.Cleanup(func() { close(stop); loop.Wait() })
			set := func(change func()) {
				phone.mu.Lock()
				defer phone.mu.Unlock()
				change()
			}
			return channeltest.Subject{
				Channel: ch,
				Accepted: func() int {
					phone.mu.Lock()
					defer phone.mu.Unlock()
					return len(phone.handed)
				},
				Refuse: func(class channel.Class) bool {
					switch class {
					case channel.Temporary:
						set(func() { phone.away = true })
					case channel.Unknown:
						l.set(true, nil)
					default:
						return false
					}
					return true
				},
				Stall: func() func() {
					hang := make(chan struct{})
					l.set(false, hang)
					return func() { l.set(false, nil); close(hang) }
				},
			}
		},
	})
}
