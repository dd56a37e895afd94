package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/ajankovic/smpp/pdu"
)

const (
	headerLen  = 16
	submitLen  = 113 // of the only submit_sm that is accepted
	response   = 0x80000000
	bufferSize = 64 << 10
)

var errFraming = errors.New("frame of impossible length")

// serve is the server process: it accepts every bind and every submit_sm of
// submitLen octets, answers all that one read brings with one write, and ends
// with its standard input.
func serve() error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	fmt.Println(l.Addr())
	go accept(l)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			if err := answer(conn); err != nil {
				fmt.Fprintln(os.Stderr, "bench: server:", err)
			}
		}()
	}
}

// answer serves one connection until its end.
func answer(conn net.Conn) error {
	read := &timedReader{conn: conn}
	in := bufio.NewReaderSize(read, bufferSize)
	var out []byte
	for {
		frame, err := nextFrame(in)
		if errors.Is(err, errFraming) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // the client is gone
		}
		out = appendAnswer(out, frame, read.at)
		read.at++ // every message has an id of its own
		unbound := commandOf(frame) == pdu.UnbindID
		_, _ = in.Discard(len(frame)) // nextFrame has peeked at it
		if wholeFrame(in) && !unbound {
			continue
		}
		if _, err := conn.Write(out); err != nil || unbound {
			return nil //nolint:nilerr // the client is gone
		}
		out = out[:0]
	}
}

// A timedReader notes when it has read last, in ns.
type timedReader struct {
	conn net.Conn
	at   int64
}

func (r *timedReader) Read(b []byte) (int, error) {
	n, err := r.conn.Read(b)
	r.at = time.Now().UnixNano()
	return n, err
}

// nextFrame returns the next frame without consuming it.
func nextFrame(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(headerLen)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < headerLen || n > bufferSize {
		return nil, errFraming
	}
	return in.Peek(int(n))
}

// wholeFrame reports whether the next frame has arrived already.
func wholeFrame(in *bufio.Reader) bool {
	if in.Buffered() < headerLen {
		return false
	}
	head, _ := in.Peek(headerLen)
	return in.Buffered() >= int(binary.BigEndian.Uint32(head))
}

func commandOf(frame []byte) pdu.CommandID {
	return pdu.CommandID(binary.BigEndian.Uint32(frame[4:]))
}

func appendAnswer(out, frame []byte, message int64) []byte {
	id := commandOf(frame)
	if id&response != 0 {
		return out
	}
	at, status := len(out), uint32(0)
	if id == pdu.SubmitSmID && len(frame) != submitLen {
		status = uint32(pdu.StatusInvMsgLen)
	}
	out = append(out, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(id|response))
	out = binary.BigEndian.AppendUint32(out, status)
	out = append(out, frame[12:headerLen]...) // sequence_number
	switch {
	case status != 0:
	case id == pdu.SubmitSmID:
		out = append(strconv.AppendInt(out, message, 16), 0)
	case id == pdu.BindTransceiverID:
		out = append(out, "bench\x00"...)
	}
	binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at))
	return out
}
