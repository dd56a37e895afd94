package main

import (
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/ajankovic/smpp/pdu"
	"golang.org/x/sys/unix"
)

// A station is a point on the way of a message, from when it is due until its
// Send has returned.
type station uint8

const (
	due       station = iota // by the schedule of the arrivals
	written                  // the source writes it to the pipe
	arrived                  // the client's process has read it
	begun                    // a goroutine calls failover's Send
	submitted                // failover has called the client's Send
	flushed                  // the client writes the batch with its submit_sm
	served                   // the SMSC has read it
	replied                  // the client has read the answer
	accepted                 // the client's Send returns
	done                     // failover's Send has returned
	stations
)

// legs says what a message waits for between the station before and this one.
var legs = [stations]string{
	written:   "source: its timer, a core",
	arrived:   "client reads the arrival: a core, the poller",
	begun:     "a goroutine takes it: its turn",
	submitted: "failover calls the client",
	flushed:   "encoding, window, turn of the writer",
	served:    "write, SMSC reads it: a core, the poller",
	replied:   "SMSC answers, client reads it: a core, the poller",
	accepted:  "client's Send returns: its turn",
	done:      "failover's Send returns",
}

// A journey is the time of each station, in ns.
type journey [stations]int64

// journeys are those of n messages. They are outside of the heap: within, they
// would make the garbage collector run less often.
type journeys []journey

func newJourneys(n int) (journeys, error) {
	b, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(journey{})), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*journey)(unsafe.Pointer(&b[0])), n), nil
}

func (j journeys) free() error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&j[0])), len(j)*int(unsafe.Sizeof(journey{}))))
}

// afterSlow is how long it takes until nothing waits any more after cores were slow,
// and beforeSlow how long before a look at the cores they may have become slow, in ns.
const (
	afterSlow  = int64(120 * time.Millisecond)
	beforeSlow = int64(8 * time.Millisecond)
)

// without returns the journeys of messages that met no slow cores, in the same memory,
// and all of them if there are none.
func (j journeys) without(slow []int64) journeys {
	met := func(at int64) bool {
		i, _ := slices.BinarySearch(slow, at-afterSlow)
		return i < len(slow) && slow[i] < at+beforeSlow
	}
	if !slices.ContainsFunc(j, func(m journey) bool { return !met(m[written]) }) {
		return j
	}
	return slices.DeleteFunc(j, func(m journey) bool { return met(m[written]) })
}

// note sets the time of a station of a message.
func (j journeys) note(message int, at station, now time.Time) { j[message][at] = now.UnixNano() }

// quantiles returns those of the time between two stations, in µs.
func (j journeys) quantiles(from, to station) quantiles {
	took := j.took(from, to)
	q := func(p float64) float64 { return float64(took[min(int(p*float64(len(took))), len(took)-1)]) / 1e3 }
	return quantiles{P50: q(0.5), P90: q(0.9), P99: q(0.99), Max: q(1)}
}

// quantile returns one of them, in ns.
func (j journeys) quantile(from, to station, p float64) int64 {
	took := j.took(from, to)
	return took[int(p*float64(len(took)))]
}

// took returns the times between two stations, the least first.
func (j journeys) took(from, to station) []int64 {
	took := make([]int64, len(j))
	for i := range j {
		took[i] = j[i][to] - j[i][from]
	}
	slices.Sort(took)
	return took
}

// meanLegs returns the mean legs of the messages that were sent and took as long,
// in µs.
func (j journeys) meanLegs(least int64) (b breakdown) {
	count := 0
	for i := range j {
		if j[i][submitted] == 0 || j[i][done]-j[i][written] < least {
			continue
		}
		count++
		for at := written; at < stations; at++ {
			b[at] += float64(j[i][at]-j[i][at-1]) / 1e3
		}
	}
	for at := range b {
		b[at] /= float64(max(count, 1))
	}
	return b
}

// The number of a message is its code.
const digits = 6

func textOf(message int) string {
	b := make([]byte, 0, len(text))
	for n, by := message, 100_000; by > 0; by /= 10 {
		b = append(b, byte('0'+n/by%10))
	}
	return string(append(b, text[digits:]...))
}

func messageOf[T string | []byte](text T) (n int) {
	for i := range digits {
		n = 10*n + int(text[i]-'0')
	}
	return n
}

// A watchedConn notes when frames leave and arrive, while there are journeys.
type watchedConn struct {
	net.Conn
	all   *atomic.Pointer[journeys]
	bySeq [1 << 10]uint32 // messages by their sequence_number, modulo its length
	rest  []byte          // part of a frame that was read
}

func (c *watchedConn) Write(b []byte) (int, error) {
	if all := c.all.Load(); all != nil {
		now := time.Now()
		eachFrame(b, func(frame []byte) {
			if commandOf(frame) == pdu.SubmitSmID {
				message := messageOf(frame[len(frame)-len(text):])
				c.bySeq[sequenceOf(frame)%uint32(len(c.bySeq))] = uint32(message)
				all.note(message, flushed, now)
			}
		})
	}
	return c.Conn.Write(b)
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if all := c.all.Load(); all != nil {
		now := time.Now()
		c.rest = append(c.rest, b[:n]...)
		left := eachFrame(c.rest, func(frame []byte) {
			if commandOf(frame) == pdu.SubmitSmID|response {
				message := c.bySeq[sequenceOf(frame)%uint32(len(c.bySeq))]
				all.note(int(message), replied, now)
				(*all)[message][served], _ = strconv.ParseInt(string(frame[headerLen:len(frame)-1]), 16, 64)
			}
		})
		c.rest = c.rest[:copy(c.rest, left)]
	}
	return n, err
}

// eachFrame calls f with each whole frame and returns the octets after the last.
func eachFrame(b []byte, f func(frame []byte)) (rest []byte) {
	for len(b) >= headerLen && len(b) >= int(binary.BigEndian.Uint32(b)) {
		n := binary.BigEndian.Uint32(b)
		f(b[:n])
		b = b[n:]
	}
	return b
}

func sequenceOf(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[12:]) }
