package otp_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestJobsWithoutWork: with Async and no worker anywhere the log says so soon, and
// not too often; with a worker it says nothing.
func TestJobsWithoutWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		async := func(c *otp.Config) { c.Async = true }
		b := newBrand(t, "Alpha", otp.NewKeyring(), memstore.New(memstore.Config{}), async)
		b.send(t, otp.Request{})
		time.Sleep(15 * time.Second)
		if log := b.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "run Service.Work") {
			t.Errorf("after 15 s the log is %q", log)
		}
		for range 5 {
			_, _ = b.Send(t.Context(), otp.Request{Subject: "u2", To: channel.Recipient{Phone: "+447912345679"}})
			time.Sleep(11 * time.Second)
		}
		if n := strings.Count(b.log.String(), "run Service.Work"); n > 2 {
			t.Errorf("it is said %d times within a minute", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		shared, keys := memstore.New(memstore.Config{}), otp.NewKeyring()
		async := func(c *otp.Config) { c.Async = true }
		b, worker := newBrand(t, "Alpha", keys, shared, async), newBrand(t, "Alpha", keys, shared, async)
		stop := workUntil(t, worker.Service)
		defer stop()
		b.send(t, otp.Request{})
		time.Sleep(time.Minute)
		if log := b.log.String(); strings.Contains(log, "Service.Work") {
			t.Errorf("a worker is in another process, and the log is %q", log)
		}
	})
}

// TestLateJobsWithoutWork: a job that is due only later is missed all the same,
// although nothing else is sent.
func TestLateJobsWithoutWork(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *otp.Config){
		"takeover": func(_ *testing.T, c *otp.Config) { c.Takeover = time.Minute },
		"await": func(t *testing.T, c *otp.Config) {
			a := channel.Route{Name: "A", Channel: &provider{name: "a"}, Address: channel.Phone, Await: time.Minute}
			b := channel.Route{Name: "B", Channel: &provider{name: "b"}, Address: channel.Phone}
			f, err := failover.New(failover.Config{Router: failover.List(a, b)})
			if err != nil {
				t.Fatal(err)
			}
			c.Channel = f
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBrand(t, "Alpha", otp.NewKeyring(), memstore.New(memstore.Config{}), func(c *otp.Config) {
					change(t, c)
				})
				b.send(t, otp.Request{})
				time.Sleep(time.Minute)
				if log := b.log.String(); strings.Contains(log, "Service.Work") {
					t.Errorf("before anything is due the log is %q", log)
				}
				time.Sleep(30 * time.Second)
				if log := b.log.String(); strings.Count(log, "run Service.Work") != 1 {
					t.Errorf("30 s later it is %q", log)
				}
				time.Sleep(24 * time.Hour)
				if n := strings.Count(b.log.String(), "run Service.Work"); n > 5 {
					t.Errorf("it is said %d times", n)
				}
			})
		})
	}
}
