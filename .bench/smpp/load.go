package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/smpp"
)

// A load is the client under load.
type load struct {
	window   int
	client   *smpp.Client
	through  *failover.Channel
	messages []channel.Message
	watched  atomic.Pointer[journeys]
}

func newLoad(j job) (*load, error) {
	l := &load{window: j.Window, messages: make([]channel.Message, j.Window)}
	var err error
	l.client, err = openClient(j.Addr, j.Window, func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &watchedConn{Conn: conn, all: &l.watched}, err
	})
	if err != nil {
		return nil, err
	}
	l.through, err = failover.New(failover.Config{
		Router: failover.List(channel.Route{Name: "smsc", Channel: stop{l.client, l}, Address: channel.Phone}),
	})
	return l, err
}

// A stop notes when the client's Send is called and when it returns.
type stop struct {
	*smpp.Client
	load *load
}

func (s stop) SendUntil(ctx context.Context, m *channel.Message, until time.Time) (channel.Submission, error) {
	all := s.load.watched.Load()
	if all == nil {
		return s.Client.SendUntil(ctx, m, until)
	}
	message := messageOf(m.Text)
	all.note(message, submitted, time.Now())
	sub, err := s.Client.SendUntil(ctx, m, until)
	all.note(message, accepted, time.Now())
	return sub, err
}

// Prompt lets the failover call this Send as it calls a client's.
func (s stop) Prompt(channel.Channel) bool { return true }

// send sends one message by a worker of its number.
func (l *load) send(worker, message int) error {
	m := &l.messages[worker]
	setMessage(m, time.Now())
	m.Text = textOf(message)
	_, err := l.through.Send(context.Background(), m)
	return err
}

// runLatency finds the rate that is sustained, and then the delays at half of it.
func runLatency(j job) (loaded, error) {
	l, err := newLoad(j)
	if err != nil {
		return loaded{}, err
	}
	send := func(w int) error { return l.send(w, 0) }
	if err := inParallel(j.Window, j.N/10, send); err != nil {
		return loaded{}, err
	}
	if j.Rate > 0 {
		var r loaded
		r.Half, err = l.arrivals(j.N, j.Rate, l.send)
		return r, errors.Join(err, l.client.Shutdown(context.Background()))
	}
	began := time.Now()
	if err := inParallel(j.Window, j.N, send); err != nil {
		return loaded{}, err
	}
	r := loaded{Full: float64(j.N) / time.Since(began).Seconds()}
	half := r.Full / 2
	if r.Half, err = l.arrivals(j.N, half, l.send); err != nil {
		return loaded{}, err
	}
	if r.Light, err = l.arrivals(j.N/10, half/10, l.send); err != nil {
		return loaded{}, err
	}
	if r.Nothing, err = l.arrivals(j.N, half, func(int, int) error { return nil }); err != nil {
		return loaded{}, err
	}
	return r, l.client.Shutdown(context.Background())
}

// arrivals sends n messages that arrive at a rate, whether or not earlier ones
// are answered, and returns their delays.
func (l *load) arrivals(n int, rate float64, send func(worker, message int) error) (delays, error) {
	all, err := newJourneys(n)
	if err != nil {
		return delays{}, err
	}
	defer func() { _ = all.free() }()
	l.watched.Store(&all)
	defer l.watched.Store(nil)
	begin := time.Now().Add(200 * time.Millisecond) // the source runs by then
	source, err := single(roleBeat, strconv.Itoa(n), strconv.FormatFloat(rate, 'f', -1, 64),
		strconv.FormatInt(begin.UnixNano(), 10))
	if err != nil {
		return delays{}, err
	}
	pipe, err := source.StdoutPipe()
	if err != nil {
		return delays{}, err
	}
	if err := source.Start(); err != nil {
		return delays{}, err
	}
	before, err := usageNow()
	if err != nil {
		return delays{}, err
	}
	slow, err := l.sendAll(pipe, newSchedule(begin, rate), all, send)
	after, err2 := usageNow()
	if err := errors.Join(err, err2, source.Wait()); err != nil {
		return delays{}, err
	}
	return summary(all, slow, before, after, after.at.Sub(begin)), nil
}

// sendAll sends each message when it arrives, by as many goroutines as the window
// has slots. It returns when the cores were slow.
func (l *load) sendAll(from io.Reader, s *schedule, all journeys, send func(worker, message int) error) (
	slow []int64, err error) {
	arrivals := make(chan uint32, len(all))
	go func() {
		defer close(arrivals)
		slow = receive(from, s, all, func(message int) { arrivals <- uint32(message) })
	}()
	err = inParallel(l.window, l.window, func(w int) error {
		for message := range arrivals {
			all.note(int(message), begun, time.Now())
			if err := send(w, int(message)); err != nil {
				return err
			}
			all.note(int(message), done, time.Now())
		}
		return nil
	})
	return slow, err
}

// summary takes the delays from the messages that met no slow cores.
func summary(all journeys, slow []int64, before, after usage, took time.Duration) delays {
	n, elapsed := float64(len(all)), took.Seconds()
	whole := all.quantiles(written, done)
	all = all.without(slow)
	d := delays{
		Rate: n / elapsed, LeftOut: 100 - 100*float64(len(all))/n, Any: whole,
		Send: all.quantiles(written, done), Due: all.quantiles(due, done), Source: all.quantiles(due, written),
		All: all.meanLegs(0),
		Costs: costs{
			CPU:    float64((after.cpu - before.cpu).Microseconds()) / n,
			Allocs: float64(after.allocs-before.allocs) / n,
			Octets: float64(after.octets-before.octets) / n,
			GCs:    float64(after.gcs-before.gcs) / elapsed,
		},
	}
	d.Slow = all.meanLegs(all.quantile(written, done, 0.98))
	return d
}
