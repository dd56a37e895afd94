package smpptest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A conn is a client's connection with scripted faults. They are faults that an
// SMSC must not have; smppserver.Server does the rest.
type conn struct {
	net.Conn
	leaving chan struct{} // closed: outstanding requests get no answer

	mu     sync.Mutex
	faults map[uint32]Reply // by the sequence number of a submit_sm_resp or cancel_sm_resp
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, leaving: make(chan struct{})} }

// An addr leads from a session to its conn.
type addr struct {
	net.Addr
	conn *conn
}

func connOf(s *smppserver.Session) *conn { return s.RemoteAddr().(addr).conn }

// leave stops all answers.
func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.leaving:
	default:
		close(c.leaving)
	}
}

func (c *conn) RemoteAddr() net.Addr { return addr{c.Conn.RemoteAddr(), c} }

// fail makes the response with this sequence number fail as in r.
func (c *conn) fail(seq uint32, r Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults == nil {
		c.faults = make(map[uint32]Reply)
	}
	c.faults[seq] = r
}

// Write writes whole frames, without those scripted to fail.
func (c *conn) Write(b []byte) (int, error) {
	kept, hangup := c.filter(b)
	_, err := c.Conn.Write(kept)
	if hangup && err == nil {
		err = c.Close()
	}
	return len(b), err
}

// filter returns the frames of b to write, and whether the connection ends after
// them.
func (c *conn) filter(b []byte) (kept []byte, hangup bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) == 0 {
		return b, false
	}
	for len(b) >= wire.HeaderLen {
		frame := b[:binary.BigEndian.Uint32(b)]
		b = b[len(frame):]
		seq := binary.BigEndian.Uint32(frame[12:])
		r, ok := c.faults[seq]
		id := pdu.CommandID(binary.BigEndian.Uint32(frame[4:]))
		if !ok || id != pdu.SubmitSmRespID && id != pdu.CancelSmRespID {
			kept = append(kept, frame...)
			continue
		}
		delete(c.faults, seq)
		if r.Hangup {
			return append(kept, frame[:min(r.HangupAfter, len(frame))]...), true
		}
	}
	return kept, false
}

// hold runs f after Until is closed and Delay is over. It runs stall when answers
// stop, and nothing if the connection is closed first.
func (s *Server) hold(c *smppserver.Session, r Reply, f, stall func()) {
	if r.Until == nil && r.Delay <= 0 {
		f()
		return
	}
	leaving := connOf(c).leaving
	s.wg.Go(func() {
		if r.Until != nil {
			select {
			case <-r.Until:
			case <-leaving:
				stall()
				return
			case <-c.Done():
				return
			}
		}
		t := time.NewTimer(max(r.Delay, 0))
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-leaving:
			stall()
		case <-c.Done():
		}
	})
}

// later runs f after d, unless the connection is closed first.
func (s *Server) later(c *smppserver.Session, d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	s.wg.Go(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-c.Done():
		}
	})
}

// submit answers a submit_sm by the script.
func (s *Server) submit(m *smppserver.Submit, answer func(string, error)) {
	v := s.describe(m)
	r := s.reply(v)
	c := m.Session
	stall := func() {
		connOf(c).fail(m.Sequence, Reply{Stall: true})
		answer("", smpp.StatusSystemError)
	}
	if r.Stall {
		s.record(v)
		stall()
		return
	}
	v.Status = r.Status
	if v.Status == smpp.StatusOK {
		v.ID = s.id(r.ID)
	}
	s.record(v)
	if r.Receipt.Early {
		s.receipt(c, v, r.Receipt)
	}
	s.hold(c, r, func() { s.respond(c, v, r, answer) }, stall)
}

func (s *Server) respond(c *smppserver.Session, v Submit, r Reply, answer func(string, error)) {
	if r.Hangup {
		connOf(c).fail(v.Sequence, r)
	}
	if v.Status != smpp.StatusOK {
		answer("", v.Status)
		return
	}
	answer(v.ID, nil)
	if !r.Receipt.Early && !r.Hangup {
		s.later(c, r.Receipt.Delay, func() { s.receipt(c, v, r.Receipt) })
	}
}

// receipt sends the planned receipts over the same connection.
func (s *Server) receipt(c *smppserver.Session, v Submit, plan Receipt) {
	if !v.Receipt || plan.None || v.Status != smpp.StatusOK {
		return
	}
	r := smppserver.DeliveryReceipt{
		ID: plan.ID, From: v.To, To: v.From, ToTON: v.FromTON, Stat: plan.Stat, Err: plan.Err,
		TextOnly: plan.TextOnly, TLVOnly: plan.TLVOnly, DataSM: plan.DataSM,
	}
	if r.ID == "" {
		r.ID = v.ID
	}
	if !s.sendsReceipt(v.ID) {
		r.Stat, r.Err = "DELETED", ""
	}
	for range max(plan.Copies, 1) {
		s.deliver(c, r)
	}
}

// deliver sends a receipt, and sends it again after a refusal if Config.Redeliver
// is set. After the end of the connection it drops the receipt. If no SMSC could
// send the receipt, the script is wrong.
func (s *Server) deliver(c *smppserver.Session, r smppserver.DeliveryReceipt) {
	err := c.Deliver(r, func(status smpp.Status, err error) {
		if err != nil {
			return
		}
		s.addAnswer(status)
		if again := s.redeliver(); status != smpp.StatusOK && again > 0 {
			s.later(c, again, func() { s.deliver(c, r) })
		}
	})
	if err != nil && !errors.Is(err, smppserver.ErrUndelivered) {
		panic(fmt.Sprintf("smpptest: %v", err))
	}
}

func (s *Server) checkBind(b smppserver.BindRequest) smpp.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.refuse != smpp.StatusOK:
		return s.refuse
	case s.config.SystemID != "" && b.SystemID != s.config.SystemID,
		s.config.Password != "" && b.Password != s.config.Password:
		return smpp.StatusInvalidPassword
	}
	return smpp.StatusOK
}

func (s *Server) redeliver() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.Redeliver
}
