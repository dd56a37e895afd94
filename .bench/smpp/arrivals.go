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
// due, and when it writes this.
const recordLen = 4 + 8

// beat writes a record whenever messages are due. It looks every 50 µs.
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
	for left := n; left > 0; {
		now, count := time.Now(), 0
		for count < left && !s.next.After(now) {
			s.advance()
			count++
		}
		if count > 0 {
			record := binary.NativeEndian.AppendUint32(make([]byte, 0, recordLen), uint32(count))
			record = binary.NativeEndian.AppendUint64(record, uint64(now.UnixNano()))
			if _, err := os.Stdout.Write(record); err != nil {
				return err
			}
			left -= count
		}
		pause := unix.Timespec{Nsec: int64(50 * time.Microsecond)}
		// The runtime knows of the sleep otherwise, and its monitor uses a core to watch it.
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
	}
	return nil
}

// receive notes the arrivals of the source and passes on their numbers.
func receive(from io.Reader, s *schedule, all journeys, pass func(message int)) {
	buf, filled := make([]byte, 64*recordLen), 0
	for message := 0; message < len(all); {
		n, err := from.Read(buf[filled:])
		now := time.Now()
		filled += n
		b := buf[:filled]
		for ; len(b) >= recordLen; b = b[recordLen:] {
			for range binary.NativeEndian.Uint32(b) {
				all.note(message, due, s.advance())
				all[message][written] = int64(binary.NativeEndian.Uint64(b[4:]))
				all.note(message, arrived, now)
				pass(message)
				message++
			}
		}
		filled = copy(buf, b)
		if err != nil {
			return
		}
	}
}
