package main

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A schedule is when messages arrive: at random, and so many in a second on average.
type schedule struct {
	next time.Time
	mean float64 // ns from one to the next
	rand *rand.Rand
}

func newSchedule(begin time.Time, rate float64) *schedule {
	return &schedule{next: begin, mean: 1e9 / rate, rand: rand.New(rand.NewPCG(1, 2))}
}

func (s *schedule) advance() time.Time {
	at := s.next
	s.next = at.Add(time.Duration(s.rand.ExpFloat64() * s.mean))
	return at
}

// recordLen is the length of a record from the source: how many messages are
// due, and when it writes this. None are due: the cores are slow.
const recordLen = 4 + 8

// beat writes a record whenever messages are due, and when the cores are slow. It
// looks for messages every 50 µs, and at the cores every 3 ms.
func beat() error {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		return err
	}
	begin, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	// The runtime's timers, and the default slack of the kernel's, are too coarse.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	s := newSchedule(time.Unix(0, begin), rate)
	var cores probe
	for left, look := n, 0; left > 0; look++ {
		now, count := time.Now(), 0
		for count < left && !s.next.After(now) {
			s.advance()
			count++
		}
		var record []byte
		if count > 0 {
			record = appendRecord(record, count, now)
		}
		if look%60 == 0 && cores.slow() {
			record = appendRecord(record, 0, now)
		}
		if len(record) > 0 {
			if _, err := os.Stdout.Write(record); err != nil {
				return err
			}
		}
		left -= count
		pause := unix.Timespec{Nsec: int64(50 * time.Microsecond)}
		// The runtime knows of the sleep otherwise, and its monitor uses a core to watch it.
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
	}
	return nil
}

func appendRecord(b []byte, count int, now time.Time) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(count))
	return binary.NativeEndian.AppendUint64(b, uint64(now.UnixNano()))
}

// A probe sees whether the cores run slower than they can: a host that is short of
// power or has other guests may slow them to a tenth for a twentieth of a second.
type probe struct{ least int64 }

// slow reports whether a short loop takes two and a half times as much CPU time of
// this thread as the fastest before.
func (p *probe) slow() bool {
	began, x := threadTime(), uint64(1)
	for range 10_000 {
		x = x*6364136223846793005 + 1
	}
	took := threadTime() - began
	runtime.KeepAlive(x)
	if p.least == 0 || took < p.least {
		p.least = took
	}
	return 2*took > 5*p.least
}

// threadTime is the CPU time of this thread, in ns.
func threadTime() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // the kernel has this clock
	return t.Nano()
}

// receive notes the arrivals of the source and passes on their numbers. It returns
// when the cores were slow, in ns.
func receive(from io.Reader, s *schedule, all journeys, pass func(message int)) (slow []int64) {
	buf, filled := make([]byte, 64*recordLen), 0
	for message := 0; message < len(all); {
		n, err := from.Read(buf[filled:])
		now := time.Now()
		filled += n
		b := buf[:filled]
		for ; len(b) >= recordLen; b = b[recordLen:] {
			count, at := binary.NativeEndian.Uint32(b), int64(binary.NativeEndian.Uint64(b[4:]))
			if count == 0 {
				slow = append(slow, at)
			}
			for range count {
				all.note(message, due, s.advance())
				all[message][written] = at
				all.note(message, arrived, now)
				pass(message)
				message++
			}
		}
		filled = copy(buf, b)
		if err != nil {
			return slow
		}
	}
	return slow
}
