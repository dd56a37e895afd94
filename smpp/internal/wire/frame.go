package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ajankovic/smpp/pdu"
)

const (
	// HeaderLen is the length of a PDU's header, and so of the shortest PDU
	// (SMPP 3.4, section 3.2).
	HeaderLen = 16
	// MaxFrame is the longest accepted PDU. message_payload may have 64 K,
	// but real clients and servers of short messages never send that much.
	MaxFrame = 64 << 10

	// MaxSequence is the highest sequence_number (SMPP 3.4, section 5.1.4).
	MaxSequence = 0x7FFFFFFF

	readSize = 16 << 10 // holds a full window of responses
)

// ErrFrameLength is returned for a command_length outside HeaderLen..MaxFrame.
// The stream has lost its framing: the connection is useless.
var ErrFrameLength = errors.New("smpp: command_length out of range")

// A Header is the head of a PDU.
type Header struct {
	ID     pdu.CommandID
	Status uint32
	Seq    uint32
}

// IsResponse reports whether the PDU answers another.
func (h Header) IsResponse() bool { return h.ID&pdu.GenericNackID != 0 }

// Response is the command id of the answer to h.
func (h Header) Response() pdu.CommandID { return h.ID | pdu.GenericNackID }

// A Frame is one whole PDU. Its Body is valid until the next read.
type Frame struct {
	Header
	Body []byte
}

// A Reader cuts a stream into frames. One large read gets all waiting frames.
// It never holds more than MaxFrame octets, and checks a length before it
// allocates memory for it.
type Reader struct {
	// Limit is the longest frame to read into memory. The body of a longer
	// one is skipped; see Skipped. Zero: MaxFrame.
	Limit int

	r          io.Reader
	buf        []byte
	start, end int
	skipped    bool
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r, buf: make([]byte, readSize)} }

// Next returns the next frame. At the end of the stream it returns io.EOF, or
// io.ErrUnexpectedEOF within a frame.
func (r *Reader) Next() (Frame, error) {
	if err := r.fill(HeaderLen); err != nil {
		return Frame{}, err
	}
	length := binary.BigEndian.Uint32(r.buf[r.start:])
	if length < HeaderLen || length > MaxFrame {
		return Frame{}, fmt.Errorf("%w: %d", ErrFrameLength, length)
	}
	if r.skipped = r.Limit > 0 && int(length) > r.Limit; r.skipped {
		f := Frame{Header: header(r.buf[r.start:])}
		return f, r.skip(int(length))
	}
	if err := r.fill(int(length)); err != nil {
		return Frame{}, err
	}
	p := r.buf[r.start : r.start+int(length)]
	r.start += int(length)
	return Frame{Header: header(p), Body: p[HeaderLen:]}, nil
}

func header(p []byte) Header {
	return Header{
		ID:     pdu.CommandID(binary.BigEndian.Uint32(p[4:])),
		Status: binary.BigEndian.Uint32(p[8:]),
		Seq:    binary.BigEndian.Uint32(p[12:]),
	}
}

// skip reads n octets and keeps none of them.
func (r *Reader) skip(n int) error {
	for n > 0 {
		if err := r.fill(1); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		m := min(n, r.end-r.start)
		r.start += m
		n -= m
	}
	return nil
}

// Skipped reports whether the last frame was longer than Limit. It has no Body.
func (r *Reader) Skipped() bool { return r.skipped }

// Waits reports whether Next must read before it can return a frame.
func (r *Reader) Waits() bool {
	n := r.end - r.start
	return n < HeaderLen || n < int(binary.BigEndian.Uint32(r.buf[r.start:]))
}

// fill reads until n octets are buffered.
func (r *Reader) fill(n int) error {
	if r.end-r.start >= n {
		return nil
	}
	r.makeRoom(n)
	for r.end-r.start < n {
		m, err := r.r.Read(r.buf[r.end:])
		r.end += m
		if err == nil || r.end-r.start >= n {
			continue
		}
		if err == io.EOF && r.end > r.start {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// makeRoom moves the buffered octets to the front. If n octets do not fit in
// the buffer, it moves them to a larger one.
func (r *Reader) makeRoom(n int) {
	if r.start+n <= len(r.buf) && r.start != r.end {
		return
	}
	to := r.buf
	if n > len(to) {
		to = make([]byte, n)
	}
	r.end = copy(to, r.buf[r.start:r.end])
	r.start, r.buf = 0, to
}

// begin appends a header whose length finish fills in.
func begin(b []byte, id pdu.CommandID, status, seq uint32) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = binary.BigEndian.AppendUint32(b, status)
	return binary.BigEndian.AppendUint32(b, seq)
}

func finish(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// AppendEmpty appends a PDU without a body: enquire_link, unbind, their
// responses, generic_nack, and any error response.
func AppendEmpty(b []byte, id pdu.CommandID, status, seq uint32) []byte {
	return finish(begin(b, id, status, seq), len(b))
}

// AppendID appends a PDU whose body is one C-string: the responses to binds
// (system_id) and to messages (message_id).
func AppendID(b []byte, cmd pdu.CommandID, status, seq uint32, id string) []byte {
	at := len(b)
	b = appendCString(begin(b, cmd, status, seq), id)
	return finish(b, at)
}

func appendCString(b []byte, s string) []byte { return append(append(b, s...), 0) }
