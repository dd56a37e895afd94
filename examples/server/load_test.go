package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHTTP measures calls over 16 connections of the loopback interface: go test
// -run '^$' -bench HTTP -benchtime 20000x. The caller is as lean as wrk and ab are: it
// writes the octets of a request, and of the answer it reads the status, the length and
// the body. Every status is checked. Its work counts, too: in a profile it has the label
// half=client.
func BenchmarkHTTP(b *testing.B) {
	r := start(b, func(c *config) { c.Applications[0].Keys[0].Rate = 1_000_000_000 })
	var serial atomic.Int64
	create := func(c *caller) (id, subject string) {
		subject = "u" + strconv.FormatInt(serial.Add(1), 10)
		body, err := c.post(apiPath, 201,
			`{"subject":"`+subject+`","purpose":"login","to":{"email":"`+subject+`@example.com"}}`)
		if err != nil {
			b.Error(err)
			return "", ""
		}
		_, rest, _ := bytes.Cut(body, []byte(`"id":"`))
		named, _, _ := bytes.Cut(rest, []byte(`"`))
		return string(named), subject
	}
	b.Run("create", func(b *testing.B) {
		measure(b, r, func(c *caller, _ int) { create(c) })
	})
	b.Run("check", func(b *testing.B) {
		type made struct{ id, subject, code string }
		all, c := make([]made, b.N), dial(b, r)
		defer c.conn.Close()
		for i := range all {
			all[i].id, all[i].subject = create(c)
			all[i].code = r.people.read(all[i].subject + "@example.com")
		}
		measure(b, r, func(c *caller, i int) {
			m := &all[i]
			if _, err := c.post(apiPath+"/"+m.id+"/check", 200,
				`{"subject":"`+m.subject+`","purpose":"login","code":"`+m.code+`"}`); err != nil {
				b.Error(err)
			}
		})
	})
}

// A caller is a connection on which one request is made after another.
type caller struct {
	conn    net.Conn
	answers *bufio.Reader
	header  string // of each request, up to its length
	request []byte
	body    []byte
}

func dial(b *testing.B, r *rig) *caller {
	host := strings.TrimPrefix(r.shop.url, "http://")
	conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", host)
	if err != nil {
		b.Fatal(err)
	}
	return &caller{conn: conn, answers: bufio.NewReader(conn), header: " HTTP/1.1\r\nHost: " + host +
		"\r\nAuthorization: Bearer " + r.shop.key + "\r\nContent-Type: application/json\r\nContent-Length: "}
}

// post returns the body of an answer until the next call, or an error if the status is
// another.
func (c *caller) post(path string, status int, body string) ([]byte, error) {
	c.request = append(append(append(c.request[:0], "POST "...), path...), c.header...)
	c.request = strconv.AppendInt(c.request, int64(len(body)), 10)
	c.request = append(append(c.request, "\r\n\r\n"...), body...)
	if _, err := c.conn.Write(c.request); err != nil {
		return nil, err
	}
	got, length := 0, -1
	for {
		line, err := c.answers.ReadSlice('\n')
		switch name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" ")); {
		case err != nil:
			return nil, err
		case got == 0:
			number, _, _ := bytes.Cut(value, []byte(" "))
			if got, err = strconv.Atoi(string(number)); err != nil {
				return nil, err
			}
		case string(name) == "Content-Length:":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return nil, err
			}
		case len(name) == 0 && length < 0:
			return nil, errors.New("an answer has no Content-Length")
		case len(name) == 0:
			c.body = slices.Grow(c.body[:0], length)[:length]
			if _, err := io.ReadFull(c.answers, c.body); err != nil {
				return nil, err
			}
			if got != status {
				return nil, fmt.Errorf("got %d %s", got, c.body)
			}
			return c.body, nil
		}
	}
}

// cpu is the processor time of this process, of the server and its callers.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure makes b.N calls over 16 connections. It reports their rate, the latency that 99
// of 100 keep to, the processor time of a call, which other programs on the machine disturb
// least, and its allocations.
func measure(b *testing.B, r *rig, call func(c *caller, i int)) {
	const connections = 16
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	callers := make([]*caller, connections)
	for i := range callers {
		callers[i] = dial(b, r)
		defer callers[i].conn.Close()
	}
	b.ReportAllocs()
	before := cpu(b)
	b.ResetTimer()
	for _, c := range callers {
		all.Go(func() {
			pprof.Do(b.Context(), pprof.Labels("half", "client"), func(context.Context) {
				for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
					begun := time.Now()
					call(c, i)
					took[i] = time.Since(begun)
				}
			})
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/call")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
}
