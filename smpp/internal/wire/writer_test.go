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
		w := NewWriter()
		ended := make(chan error, 1)
		go func() { ended <- w.Run(a, time.Minute) }()
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

func TestWriterFinishWritesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		w := NewWriter()
		appendString(t, w, "all of it")
		w.Finish()
		go func() {
			if err := w.Run(a, time.Minute); err != nil {
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
		w := NewWriter()
		batch := appendString(t, w, "never written")
		w.Stop()
		if err := w.Run(a, time.Minute); !errors.Is(err, ErrStopped) {
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
		w := NewWriter()
		appendString(t, w, "nobody reads")
		began := time.Now()
		if err := w.Run(a, time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(began); d != time.Minute {
			t.Errorf("took %v", d)
		}
	})
}
