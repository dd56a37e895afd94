package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/ajankovic/smpp/pdu"
)

// A raw client knows nothing of SMPP: it sends one prepared frame again and
// again and counts responses. It is the floor under the others' figures.
type raw struct {
	conn   net.Conn
	in     *bufio.Reader
	frame  []byte
	window int
	write  func(conn net.Conn, frames []byte) error
}

// writePerFrame gives each frame a write of its own.
func writePerFrame(conn net.Conn, frames []byte) error {
	for ; len(frames) > 0; frames = frames[submitLen:] {
		if _, err := conn.Write(frames[:submitLen]); err != nil {
			return err
		}
	}
	return nil
}

// writeBatched writes everything at once.
func writeBatched(conn net.Conn, frames []byte) error {
	_, err := conn.Write(frames)
	return err
}

func openRaw(write func(net.Conn, []byte) error) func(string, int) (bound, error) {
	return func(addr string, window int) (bound, error) {
		conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
		if err != nil {
			return nil, err
		}
		r := &raw{conn: conn, in: bufio.NewReaderSize(conn, bufferSize), frame: rawSubmit(), window: window,
			write: write}
		bind := appendHeader(nil, pdu.BindTransceiverID, 1)
		bind = append(bind, systemID+"\x00"+password+"\x00\x00\x34\x00\x00\x00"...)
		binary.BigEndian.PutUint32(bind, uint32(len(bind)))
		if _, err := conn.Write(bind); err != nil {
			return nil, err
		}
		return r, r.answer()
	}
}

// send writes whatever the window allows and then reads whatever has arrived:
// one goroutine is faster at this than two.
func (r *raw) send(n int) error {
	frames := make([]byte, 0, r.window*submitLen)
	for sent, answered := 0, 0; answered < n; {
		frames = frames[:0]
		for sent < n && sent-answered < r.window {
			sent++
			frames = append(frames, r.frame...)
			binary.BigEndian.PutUint32(frames[len(frames)-submitLen+12:], uint32(sent+1))
		}
		if len(frames) > 0 {
			if err := r.write(r.conn, frames); err != nil {
				return err
			}
		}
		for {
			if err := r.answer(); err != nil {
				return err
			}
			answered++
			if answered == sent || !wholeFrame(r.in) {
				break
			}
		}
	}
	return nil
}

// answer reads one response.
func (r *raw) answer() error {
	frame, err := nextFrame(r.in)
	if err != nil {
		return err
	}
	if status := binary.BigEndian.Uint32(frame[8:]); status != 0 {
		return fmt.Errorf("refused: status 0x%08X", status)
	}
	_, err = r.in.Discard(len(frame))
	return err
}

func (r *raw) close() error { return r.conn.Close() }

// rawSubmit is the submit_sm that the clients send.
func rawSubmit() []byte {
	b := appendHeader(nil, pdu.SubmitSmID, 0)
	b = append(b, 0, tonAlphanumeric, 0)
	b = append(b, sender+"\x00"...)
	b = append(b, tonInternational, npiE164)
	b = append(b, phone[1:]+"\x00"...)
	b = append(b, 0, 0, 0, 0)
	b = append(b, "000000000500000R\x00"...)
	b = append(b, 0, 0, 0, 0, byte(len(text)))
	b = append(b, text...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// appendHeader appends a header whose command_length is yet to be set.
func appendHeader(b []byte, id pdu.CommandID, seq uint32) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint32(b, seq)
}
