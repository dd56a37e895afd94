package smpp

import (
	"sync"
	"testing"
)

func TestIntake(t *testing.T) {
	t.Parallel()
	isIdle := func(i *intake) bool {
		select {
		case <-i.idle:
			return true
		default:
			return false
		}
	}
	i := newIntake()
	for range 2 {
		if !i.enter() {
			t.Fatal("nothing may begin")
		}
	}
	i.leave()
	i.close()
	i.close()
	if i.enter() || isIdle(i) {
		t.Error("closed: something begins, or what had begun is forgotten")
	}
	i.leave()
	if !isIdle(i) || i.enter() {
		t.Error("all is over: not idle, or something begins")
	}
	empty := newIntake()
	empty.close()
	if !isIdle(empty) {
		t.Error("closed when empty: not idle")
	}
}

// Nothing that entered is still there when the intake is idle.
func TestIntakeRace(t *testing.T) {
	t.Parallel()
	for range 200 {
		i, inside := newIntake(), make(chan struct{}, 8)
		var wg sync.WaitGroup
		for range cap(inside) {
			wg.Go(func() {
				for i.enter() {
					inside <- struct{}{}
					<-inside
					i.leave()
				}
			})
		}
		i.close()
		<-i.idle
		if len(inside) > 0 {
			t.Fatal("idle, and something goes on")
		}
		wg.Wait()
	}
}
