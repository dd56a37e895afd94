package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func appendString(t *testing.T, w *Writer, s string) uint64 {
	t.Helper()
	batch, err := w.Append(func(b []byte) []byte { return append(b, s...) })
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// What is queued while a Write is under way goes out in one more.
func TestWriterCoalesces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		w := NewWriter(a, time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- w.Run() }()
		first := appendString(t, w, "first")
		synctest.Wait() // in Write, which nobody reads
		second := appendString(t, w, "sec")
		if third := appendString(t, w, "ond"); third != second || first == second {
			t.Errorf("batches are %d, %d, %d", first, second, third)
		}
		if !w.Handed(first) || w.Handed(second) || w.Queued() != 6 {
			t.Errorf("handed %v, %v; %d queued", w.Handed(first), w.Handed(second), w.Queued())
		}
		buf := make([]byte, 100)
		for _, want := range []string{"first", "second"} {
			n, err := b.Read(buf)
			if err != nil || string(buf[:n]) != want {
				t.Errorf("read %q, %v; want %q", buf[:n], err, want)
			}
		}
		w.Finish()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := w.Append(func(b []byte) []byte { return b }); !errors.Is(err, ErrStopped) {
			t.Errorf("Append after Finish: %v", err)
		}
	})
}

// Responses are owed until they are given to the connection; nothing else is.
func TestWriterOwes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		w := NewWriter(a, time.Minute)
		respond := func(s string, want int) {
			t.Helper()
			owed, err := w.Respond(func(b []byte) []byte { return append(b, s...) })
			if owed != want || err != nil {
				t.Errorf("%d octets are owed, want %d; %v", owed, want, err)
			}
		}
		appendString(t, w, "request")
		respond("one", 3)
		respond("two", 6)
		go func() { _ = w.Run() }()
		synctest.Wait() // in Write
		appendString(t, w, "request")
		respond("three", 5)
		b.Close()
	})
}

func TestWriterFinishWritesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		w := NewWriter(a, time.Minute)
		appendString(t, w, "all of it")
		w.Finish()
		go func() {
			if err := w.Run(); err != nil {
				t.Errorf("Run: %v", err)
			}
			a.Close()
		}()
		if got, err := io.ReadAll(b); err != nil || string(got) != "all of it" {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestWriterStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := net.Pipe()
		w := NewWriter(a, time.Minute)
		batch := appendString(t, w, "never written")
		w.Stop()
		if err := w.Run(); !errors.Is(err, ErrStopped) {
			t.Errorf("Run: %v", err)
		}
		if w.Handed(batch) {
			t.Error("handed after Stop")
		}
	})
}

func TestWriterDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := net.Pipe()
		w := NewWriter(a, time.Minute)
		appendString(t, w, "nobody reads")
		began := time.Now()
		if err := w.Run(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(began); d != time.Minute {
			t.Errorf("took %v", d)
		}
	})
}

// Who flushes has written when Flush returns, without Run; what is appended in
// the meantime is Run's.
func TestWriterFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		w := NewWriter(a, time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- w.Run() }()
		if _, err := w.Add(func(b []byte) []byte { return append(b, "alone"...) }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w.Queued() != 5 {
			t.Error("Run wrote what was left to Flush")
		}
		flushed := make(chan struct{})
		go func() { w.Flush(); close(flushed) }()
		synctest.Wait() // in Write, which nobody reads
		later := appendString(t, w, "later")
		w.Flush() // somebody is writing: it does not wait
		w.Finish()
		synctest.Wait()
		if w.Handed(later) {
			t.Error("two write at one time")
		}
		buf := make([]byte, 100)
		for _, want := range []string{"alone", "later"} {
			n, err := b.Read(buf)
			if err != nil || string(buf[:n]) != want {
				t.Errorf("read %q, %v; want %q", buf[:n], err, want)
			}
		}
		<-flushed
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// An error of the Write in Flush is what Run returns, and nothing is written
// after it.
func TestWriterFlushFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := net.Pipe()
		w := NewWriter(a, time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- w.Run() }()
		if _, err := w.Add(func(b []byte) []byte { return append(b, "nobody reads"...) }); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		next := appendString(t, w, "next")
		w.Flush()
		if w.Handed(next) {
			t.Error("written after an error")
		}
	})
}

// The Write of Flush has a time limit of its own, and Flush leaves a long batch to
// Run.
func TestWriterFlushIsShort(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		octets int
		want   time.Duration
	}{"short": {maxFlush, time.Second}, "long": {maxFlush + 1, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := net.Pipe()
			w := NewWriter(a, time.Minute)
			w.FlushTimeout = time.Second
			ended := make(chan error, 1)
			go func() { ended <- w.Run() }()
			if _, err := w.Add(func(b []byte) []byte { return append(b, make([]byte, row.octets)...) }); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w.Flush()
			if flushed := time.Since(began); row.octets > maxFlush && flushed != 0 {
				t.Errorf("%s: Flush took %v", name, flushed)
			}
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: Run: %v", name, err)
			}
			if took := time.Since(began); took != row.want {
				t.Errorf("%s: took %v", name, took)
			}
		})
	}
}
