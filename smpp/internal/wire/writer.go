package wire

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

// ErrStopped is returned by Append once nothing is written any more.
var ErrStopped = errors.New("smpp: connection is closed")

// A Writer coalesces: frames are appended to a batch by any goroutine, and the
// one that runs Run writes each batch with a single Write. It is safe for
// concurrent use.
type Writer struct {
	// Alone, if it is set before Run, reports that nobody else is about to
	// append. It may be wrong.
	Alone func() bool

	wake chan struct{}

	mu       sync.Mutex
	buf      []byte // the batch being filled
	batch    uint64 // its number, from 1
	stopped  bool   // nothing more is appended or written
	finished bool   // nothing more is appended; Run ends when all is written
}

// NewWriter returns an empty Writer.
func NewWriter() *Writer { return &Writer{wake: make(chan struct{}, 1), batch: 1} }

// Append lets frame append to the current batch and returns the batch's number
// for Handed. frame must only append.
func (w *Writer) Append(frame func(b []byte) []byte) (batch uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.finished {
		return 0, ErrStopped
	}
	idle := len(w.buf) == 0
	w.buf = frame(w.buf)
	if idle {
		w.signal()
	}
	return w.batch, nil
}

// Queued is how many octets wait for the next Write.
func (w *Writer) Queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.buf)
}

// Handed reports whether a batch was given to the connection, in which case
// the peer may have received it, whatever Write returned. After Stop the
// answer no longer changes.
func (w *Writer) Handed(batch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return batch < w.batch
}

// Stop drops what has not been given to the connection.
func (w *Writer) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.signal()
}

// Finish lets Run end once everything appended before is written.
func (w *Writer) Finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	w.signal()
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run writes to conn until Stop, Finish or an error. Each Write may take as
// long as timeout. It returns nil after Finish and ErrStopped after Stop.
func (w *Writer) Run(conn net.Conn, timeout time.Duration) error {
	var spare []byte
	for range w.wake {
		for {
			// Whoever else is about to append gets into the same batch: a
			// yield costs far less than a Write.
			if w.Alone == nil || !w.Alone() {
				runtime.Gosched()
			}
			batch, err := w.take(spare)
			if len(batch) == 0 {
				if err != nil || w.done() {
					return err
				}
				break
			}
			if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
				return err
			}
			if _, err := conn.Write(batch); err != nil {
				return err
			}
			spare = batch[:0]
		}
	}
	return nil
}

// take returns the batch to write and lets the next one use spare.
func (w *Writer) take(spare []byte) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return nil, ErrStopped
	}
	if len(w.buf) == 0 {
		return nil, nil
	}
	batch := w.buf
	w.buf = spare[:0]
	w.batch++
	return batch, nil
}

func (w *Writer) done() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finished && len(w.buf) == 0
}
