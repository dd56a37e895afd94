package wire

import (
	"cmp"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

// MaxBacklog is the largest number of octets of responses that may wait for a
// peer that does not read. A session that owes more must end.
const MaxBacklog = 1 << 20

// ErrStopped is returned by Append after the last write.
var ErrStopped = errors.New("smpp: connection is closed")

// A Writer coalesces frames: any goroutine appends to a batch, and the
// goroutine of Run writes each batch with a single Write. If a caller knows
// that no other is about to append, it may use Add and Flush, and so write
// without that goroutine. A Writer is safe for concurrent use.
type Writer struct {
	// FlushTimeout is the longest time of a Write within Flush. Zero: that of
	// every Write.
	FlushTimeout time.Duration

	conn    net.Conn
	timeout time.Duration // of each Write
	wake    chan struct{}

	mu       sync.Mutex
	buf      []byte // the batch being filled
	owed     int    // octets of responses in it
	spare    []byte // memory of the last batch, unless it is being written
	batch    uint64 // number of the batch being filled, from 1
	writing  bool   // a batch is being written
	failed   error  // of a Write; no other Write follows
	stopped  bool   // nothing more is appended or written
	finished bool   // nothing more is appended; Run ends when all is written
}

// NewWriter returns an empty Writer to conn. Each Write may take as long as
// timeout.
func NewWriter(conn net.Conn, timeout time.Duration) *Writer {
	return &Writer{conn: conn, timeout: timeout, wake: make(chan struct{}, 1), batch: 1}
}

// Append lets frame append to the current batch and returns the batch's number
// for Handed. frame must only append.
func (w *Writer) Append(frame func(b []byte) []byte) (batch uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	idle := len(w.buf) == 0
	batch, err = w.add(frame)
	if idle {
		w.signal()
	}
	return batch, err
}

// Respond is Append for a response. It returns the number of octets of
// responses that wait for the next Write; earlier ones were given to the
// connection.
func (w *Writer) Respond(frame func(b []byte) []byte) (owed int, err error) {
	_, err = w.Append(func(b []byte) []byte {
		before := len(b)
		b = frame(b)
		w.owed += len(b) - before
		owed = w.owed
		return b
	})
	return owed, err
}

// Add is Append for a caller that calls Flush next.
func (w *Writer) Add(frame func(b []byte) []byte) (batch uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.add(frame)
}

// add is Add. w.mu is held.
func (w *Writer) add(frame func(b []byte) []byte) (batch uint64, err error) {
	if w.stopped || w.finished {
		return 0, ErrStopped
	}
	w.buf = frame(w.buf)
	return w.batch, nil
}

// maxFlush is the longest batch that Flush writes. If everything before it was
// read, the connection has room for it, and Write does not wait for the peer.
const maxFlush = 4 << 10

// Flush writes the current batch before it returns. It leaves the batch to Run if
// it is longer than maxFlush, or if another goroutine is writing.
func (w *Writer) Flush() {
	if w.Queued() > maxFlush {
		w.signal()
		return
	}
	if wrote, err := w.writeBatch(cmp.Or(w.FlushTimeout, w.timeout)); err != nil || wrote && w.pending() {
		w.signal() // Run continues, or returns the error
	}
}

// pending reports whether Run has more to do.
func (w *Writer) pending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.buf) > 0 || w.stopped || w.finished
}

// Queued returns the number of octets that wait for the next Write.
func (w *Writer) Queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.buf)
}

// Handed reports whether a batch was given to the connection. If so, the peer
// may have received it, whatever Write returned. After Stop the answer no
// longer changes.
func (w *Writer) Handed(batch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return batch < w.batch
}

// Stop drops the frames that were not given to the connection.
func (w *Writer) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.signal()
}

// Finish lets Run end once every frame is written.
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

// Run writes until Stop, Finish or an error. It returns nil after Finish and
// ErrStopped after Stop.
func (w *Writer) Run() error {
	for range w.wake {
		for more := true; more; {
			// A yield costs far less than a Write, and other goroutines that
			// are about to append get into the same batch.
			runtime.Gosched()
			var err error
			if more, err = w.writeBatch(w.timeout); err != nil {
				return err
			}
		}
		if w.done() {
			return nil
		}
	}
	return nil
}

// writeBatch writes the current batch, and reports whether it did. It does not
// if the batch is empty or another goroutine is writing.
func (w *Writer) writeBatch(timeout time.Duration) (bool, error) {
	batch, err := w.take()
	if len(batch) == 0 {
		return false, err
	}
	if err = w.conn.SetWriteDeadline(time.Now().Add(timeout)); err == nil {
		_, err = w.conn.Write(batch)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing, w.spare, w.failed = false, batch[:0], err
	return true, err
}

// take returns the batch to write, unless a batch is being written.
func (w *Writer) take() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.failed != nil:
		return nil, w.failed
	case w.stopped:
		return nil, ErrStopped
	case w.writing || len(w.buf) == 0:
		return nil, nil
	}
	batch := w.buf
	w.buf, w.spare, w.owed = w.spare, nil, 0
	w.writing = true
	w.batch++
	return batch, nil
}

func (w *Writer) done() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finished && !w.writing && len(w.buf) == 0
}
