package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// A parcel is a message at a phone.
type parcel struct {
	carrier int
	code    string
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// backend is the store of a demonstration: the flags that name it, and its end.
type backend struct {
	flags []string
	stop  func()
}

// startRedis starts a Redis.
func startRedis() (*backend, error) {
	dir, err := os.MkdirTemp("", "otpcourier-cluster-")
	if err != nil {
		return nil, err
	}
	redis, err := redistest.New(dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("the demonstration needs a redis-server (Debian: redis-server): %w", err)
	}
	return &backend{[]string{"-redis", redis.Addr}, func() {
		redis.Kill()
		_ = os.RemoveAll(dir)
	}}, nil
}

// startPostgres starts a PostgreSQL.
func startPostgres() (*backend, error) {
	server, err := pgtest.New()
	if err != nil {
		return nil, fmt.Errorf("the demonstration needs a PostgreSQL (Debian: postgresql): %w", err)
	}
	return &backend{[]string{"-postgres", server.URL()}, server.Close}, nil
}

// demo shows what two processes behind one store do for each other.
func demo(
	ctx context.Context, env func(string) string, out io.Writer, startStore func() (*backend, error),
) error {
	shared, err := startStore()
	if err != nil {
		return err
	}
	defer shared.stop()
	ctx, cancel := context.WithTimeout(ctx, 9*time.Second)
	defer cancel()
	keys, err := sharedKeys(env)
	if err != nil {
		return err
	}
	args := append([]string{"serve", "-await", "2s"}, shared.flags...)
	phones := make(chan parcel, 16)
	for i := range 2 {
		c, err := open(ctx, "127.0.0.1:0",
			func(m *channel.Message) { phones <- parcel{i + 1, sixDigits.FindString(m.Text)} })
		if err != nil {
			return err
		}
		defer c.close()
		args = append(args, "-smsc", c.addr)
	}
	one, err := start(ctx, "one", keys, args)
	if err != nil {
		return err
	}
	defer one.kill()
	two, err := start(ctx, "two", keys, args)
	if err != nil {
		return err
	}
	defer two.kill()
	d := &show{out: out, phones: phones}
	if err := d.flow(ctx, one, two); err != nil {
		return err
	}
	if one, err = start(ctx, "one", keys, args); err != nil {
		return err
	}
	defer one.kill()
	return d.silence(ctx, one, two)
}

// sharedKeys returns the text of the keys for both processes.
func sharedKeys(env func(string) string) (string, error) {
	if keys := env("OTP_KEYS"); keys != "" {
		return keys, nil
	}
	fmt.Fprintln(os.Stderr, "OTP_KEYS is not set: the demonstration makes its own keys, which end with it")
	text, err := otp.NewKeyring().MarshalText()
	return string(text), err
}

// show is the output of the demonstration, and the phones that it watches.
type show struct {
	out    io.Writer
	phones <-chan parcel
}

// next returns the next message at a phone.
func (d *show) next(ctx context.Context) (parcel, error) {
	select {
	case p := <-d.phones:
		return p, nil
	case <-ctx.Done():
		return parcel{}, fmt.Errorf("no code came: %w", ctx.Err())
	}
}

// flow sends twenty codes, in turn through one and two. It kills one after a
// code: the code is typed at the other.
func (d *show) flow(ctx context.Context, one, two *process) error {
	fmt.Fprintln(d.out, "1. Twenty codes through two processes, of which one is killed after the ninth")
	sent, verified := map[string]int{}, map[string]int{}
	for i := range 20 {
		asked, other := one, two
		if i%2 == 1 || i > 8 {
			asked, other = two, one
		}
		subject := fmt.Sprintf("user-%d", i)
		c, err := asked.send(ctx, subject, fmt.Sprintf("+4479123456%02d", i))
		if err != nil {
			return fmt.Errorf("process %s: %w", asked.name, err)
		}
		sent[asked.name]++
		if i == 8 {
			one.kill()
		}
		if i > 8 {
			other = two
		}
		p, err := d.next(ctx)
		if err != nil {
			return err
		}
		if said := other.verify(ctx, c.ID, subject, p.code); said != "verified" {
			return fmt.Errorf("process %s, code %d: %s", other.name, i, said)
		}
		verified[other.name]++
		if said := two.verify(ctx, c.ID, subject, p.code); said == "verified" {
			return fmt.Errorf("code %d passes twice", i)
		}
	}
	fmt.Fprintf(d.out, "   sent by one: %d, by two: %d\n", sent["one"], sent["two"])
	fmt.Fprintf(d.out, "   verified at one: %d, at two: %d; a second time: 0\n", verified["one"], verified["two"])
	return nil
}

// silence sends a code through one to a phone that is off, and kills one. Then
// two notices the missing receipt, and sends by the next carrier.
func (d *show) silence(ctx context.Context, one, two *process) error {
	fmt.Fprintln(d.out, "2. A phone is switched off, and the process that awaits its receipt is killed")
	began := time.Now()
	c, err := one.send(ctx, "eve", "+447912345699")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "   one: %s by %s\n", c.State, c.Route)
	first, err := d.next(ctx)
	if err != nil {
		return err
	}
	one.kill()
	second, err := d.next(ctx)
	if err != nil {
		return err
	}
	same := map[bool]string{true: "the same code", false: "another code"}[first.code == second.code]
	fmt.Fprintf(d.out, "   two: sent by carrier-%d after %v, %s\n", second.carrier,
		time.Since(began).Round(100*time.Millisecond), same)
	fmt.Fprintf(d.out, "   typed at two: %s\n", two.verify(ctx, c.ID, "eve", second.code))
	return nil
}
