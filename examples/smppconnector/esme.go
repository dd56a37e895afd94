package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
)

// Commands of SMPP 3.4, section 5.1.2.1, for the demonstration.
const (
	bindReceiver    = 0x01
	bindTransceiver = 0x09
	submitSM        = 0x04
	deliverSM       = 0x05
	unbind          = 0x06
	enquireLink     = 0x15
	response        = 0x80000000
)

// An esme is an aggregator's end of a connection, on the bare protocol: it can send
// PDUs that package smpp's Client would not.
type esme struct {
	conn     net.Conn
	in       *bufio.Reader
	seq      uint32
	receipts []string // texts of the delivery receipts
}

func newESME(c net.Conn) *esme {
	_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // longer than the demonstration
	return &esme{conn: c, in: bufio.NewReader(c)}
}

// ask sends a PDU and returns its answer. Earlier receipts are kept and answered.
func (e *esme) ask(command uint32, body []byte) (smpp.Status, []byte, error) {
	e.seq++
	seq := e.seq
	if err := e.write(command, seq, body); err != nil {
		return 0, nil, err
	}
	for {
		got, status, answered, body, err := e.read()
		if err != nil {
			return 0, nil, err
		}
		if got&response != 0 && answered == seq {
			return smpp.Status(status), body, nil
		}
		if err := e.take(got, answered, body); err != nil {
			return 0, nil, err
		}
	}
}

// take answers a request of the connector.
func (e *esme) take(command, seq uint32, body []byte) error {
	if command != deliverSM {
		return nil
	}
	e.receipts = append(e.receipts, shortMessage(body))
	return e.write(deliverSM|response, seq, []byte{0})
}

// awaitReceipts returns once n receipts have come.
func (e *esme) awaitReceipts(n int) error {
	for len(e.receipts) < n {
		command, _, seq, body, err := e.read()
		if err != nil {
			return err
		}
		if err := e.take(command, seq, body); err != nil {
			return err
		}
	}
	return nil
}

func (e *esme) write(command, seq uint32, body []byte) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(body)))
	for _, n := range []uint32{command, 0, seq} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	_, err := e.conn.Write(append(b, body...))
	return err
}

func (e *esme) read() (command, status, seq uint32, body []byte, err error) {
	header := make([]byte, 16)
	if _, err = io.ReadFull(e.in, header); err != nil {
		return 0, 0, 0, nil, err
	}
	n := binary.BigEndian.Uint32(header)
	if n < 16 || n > 4096 {
		return 0, 0, 0, nil, fmt.Errorf("a PDU of %d octets", n)
	}
	body = make([]byte, n-16)
	_, err = io.ReadFull(e.in, body)
	return binary.BigEndian.Uint32(header[4:]), binary.BigEndian.Uint32(header[8:]),
		binary.BigEndian.Uint32(header[12:]), body, err
}

// shortMessage returns the text of a deliver_sm.
func shortMessage(body []byte) string {
	at := 0
	skip := func() { // a C-octet string
		for at < len(body) && body[at] != 0 {
			at++
		}
		at++
	}
	skip() // service_type
	for range 2 {
		at += 2 // type of number, numbering plan
		skip()  // address
	}
	at += 3 // esm_class, protocol_id, priority_flag
	skip()  // schedule_delivery_time
	skip()  // validity_period
	at += 4 // registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id
	if at >= len(body) || at+1+int(body[at]) > len(body) {
		return ""
	}
	return string(body[at+1 : at+1+int(body[at])])
}

func (e *esme) bind(command uint32, systemID, password string) (smpp.Status, error) {
	status, _, err := e.ask(command, []byte(systemID+"\x00"+password+"\x00\x00\x34\x00\x00\x00"))
	return status, err
}

// A submit is a submit_sm. The zero value of a field follows the guide's
// recommendation.
type submit struct {
	brand     string // source_addr, alphanumeric; default "MyBank"
	numeric   bool   // source_addr is an international number
	to        string // destination_addr
	text      string
	validity  string // validity_period
	noReceipt bool
}

func (e *esme) submit(s submit) (status smpp.Status, id string, err error) {
	if s.brand == "" {
		s.brand = "MyBank"
	}
	registered := byte(1)
	if s.noReceipt {
		registered = 0
	}
	ton := byte(typeAlphanumeric)
	if s.numeric {
		ton = 1
	}
	b := append([]byte{0, ton, 0}, s.brand...)
	b = append(append(b, 0, 1, 1), s.to...)
	b = append(append(b, 0, 0, 0, 0, 0), s.validity...)
	b = append(b, 0, registered, 0, 0, 0)
	if len(s.text) <= 254 {
		b = append(append(b, byte(len(s.text))), s.text...)
	} else { // message_payload
		b = append(b, 0, 0x04, 0x24, byte(len(s.text)>>8), byte(len(s.text)))
		b = append(b, s.text...)
	}
	status, body, err := e.ask(submitSM, b)
	if err == nil && status == smpp.StatusOK && len(body) > 0 {
		id = string(body[:len(body)-1])
	}
	return status, id, err
}
