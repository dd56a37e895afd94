package smpptest

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

const writeTimeout = 10 * time.Second

// A conn is one connection of a client.
type conn struct {
	server *Server
	number int
	nc     net.Conn
	out    *wire.Writer
	done   chan struct{} // closed: connection closed
	once   sync.Once
	bound  bool // used by the reader only

	mu      sync.Mutex
	seq     uint32
	pending map[uint32]*wire.Message // receipts that await an answer
}

func newConn(s *Server, nc net.Conn, number int) *conn {
	return &conn{
		server: s, number: number, nc: nc, out: wire.NewWriter(),
		done: make(chan struct{}), pending: make(map[uint32]*wire.Message),
	}
}

func (c *conn) run() {
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = c.out.Run(c.nc, writeTimeout) // the client sees the end of the connection
		c.close()
	})
	c.read()
	c.close()
	wg.Wait()
}

func (c *conn) close() {
	c.once.Do(func() {
		close(c.done)
		c.out.Stop()
		_ = c.nc.Close()
	})
}

func (c *conn) read() {
	in := wire.NewReader(c.nc)
	for {
		f, err := in.Next()
		if err != nil {
			return
		}
		switch f.ID {
		case pdu.BindTransceiverID, pdu.BindTransmitterID, pdu.BindReceiverID:
			c.bind(f)
		case pdu.SubmitSmID:
			c.submit(f)
		case pdu.EnquireLinkID:
			c.send(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
		case pdu.UnbindID:
			c.send(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
			c.out.Finish()
		case pdu.UnbindRespID:
			return
		case pdu.DeliverSmRespID, pdu.DataSmRespID:
			c.answered(f)
		default:
			if !f.IsResponse() {
				c.send(wire.AppendEmpty(nil, pdu.GenericNackID, uint32(smpp.StatusInvalidCmdID), f.Seq))
			}
		}
	}
}

// send queues a frame. After the end there is nobody to tell.
func (c *conn) send(frame []byte) {
	_, _ = c.out.Append(func(b []byte) []byte { return append(b, frame...) })
}

func (c *conn) request(id pdu.CommandID) { c.send(wire.AppendEmpty(nil, id, 0, c.nextSeq())) }

func (c *conn) nextSeq() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = c.seq%wire.MaxSequence + 1
	return c.seq
}

// after runs f when the channel is closed, at once if it is nil, unless the
// connection is closed before.
func (c *conn) after(until <-chan struct{}, f func()) {
	if until == nil {
		f()
		return
	}
	c.server.wg.Go(func() {
		select {
		case <-until:
			f()
		case <-c.done:
		}
	})
}

// later runs f after d, unless the connection is closed before.
func (c *conn) later(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	c.server.wg.Go(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-c.done:
		}
	})
}

func (c *conn) bind(f wire.Frame) {
	b, err := wire.DecodeBind(f.Body)
	status := smpp.StatusInvalidCmdLength
	if err == nil {
		status = c.server.checkBind(b, c.bound)
	}
	c.server.addBind(Bind{Conn: c.number, SystemID: b.SystemID, Version: b.Version, Status: status, At: time.Now()})
	if status != smpp.StatusOK {
		c.send(wire.AppendEmpty(nil, f.Response(), uint32(status), f.Seq))
		if !c.bound {
			c.out.Finish()
		}
		return
	}
	c.bound = true
	c.send(wire.AppendID(nil, f.Response(), 0, f.Seq, "smpptest"))
}

func (c *conn) submit(f wire.Frame) {
	m, err := wire.DecodeMessage(f.Body)
	if err != nil {
		c.send(wire.AppendEmpty(nil, f.Response(), uint32(smpp.StatusInvalidCmdLength), f.Seq))
		return
	}
	s := c.server.describe(c, f.Seq, m)
	r := c.server.reply(s, c.bound)
	if r.Stall {
		c.server.record(s)
		return
	}
	s.Status = r.Status
	if s.Status == smpp.StatusOK {
		s.ID = c.server.id(r.ID)
	}
	c.server.record(s)
	if r.Receipt.Early {
		c.receipt(s, r.Receipt)
	}
	c.after(r.Until, func() {
		c.later(r.Delay, func() { c.respond(f.Header, s, r) })
	})
}

func (c *conn) respond(h wire.Header, s Submit, r Reply) {
	var answer []byte
	if s.Status == smpp.StatusOK {
		answer = wire.AppendID(nil, h.Response(), 0, h.Seq, s.ID)
	} else {
		answer = wire.AppendEmpty(nil, h.Response(), uint32(s.Status), h.Seq)
	}
	if r.Hangup {
		c.send(answer[:min(r.HangupAfter, len(answer))])
		c.out.Finish()
		return
	}
	c.send(answer)
	if !r.Receipt.Early {
		c.later(r.Receipt.Delay, func() { c.receipt(s, r.Receipt) })
	}
}

// receipt sends what the plan says.
func (c *conn) receipt(s Submit, plan Receipt) {
	if !s.Receipt || plan.None || s.Status != smpp.StatusOK {
		return
	}
	m := plan.message(s, time.Now())
	for range max(plan.Copies, 1) {
		c.deliver(m)
	}
}

// deliver sends a message that has an answer.
func (c *conn) deliver(m *wire.Message) {
	seq := c.nextSeq()
	c.mu.Lock()
	c.pending[seq] = m
	c.mu.Unlock()
	if _, ok := m.TLVs.Get(pdu.TagMessagePayload); ok {
		c.send(wire.AppendDataSM(nil, seq, m))
		return
	}
	c.send(wire.AppendMessage(nil, pdu.DeliverSmID, seq, m))
}

func (c *conn) answered(f wire.Frame) {
	c.mu.Lock()
	m := c.pending[f.Seq]
	delete(c.pending, f.Seq)
	c.mu.Unlock()
	if m == nil {
		return
	}
	c.server.addAnswer(smpp.Status(f.Status))
	if again := c.server.redeliver(); f.Status != 0 && again > 0 {
		c.later(again, func() { c.deliver(m) })
	}
}

// messageStates are the words of Appendix B by message_state.
var messageStates = map[string]byte{
	"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8,
}

// message is the receipt for s as it goes over the wire.
func (r Receipt) message(s Submit, now time.Time) *wire.Message {
	if r.Stat == "" {
		r.Stat = "DELIVRD"
	}
	if r.Err == "" {
		r.Err = "000"
	}
	if r.ID == "" {
		r.ID = s.ID
	}
	delivered := 0
	if r.Stat == "DELIVRD" {
		delivered = 1
	}
	date := now.UTC().Format("0601021504")
	text := wire.Receipt{
		ID: r.ID, Sub: "001", Dlvrd: fmt.Sprintf("%03d", delivered), SubmitDate: date, DoneDate: date,
		Stat: r.Stat, Err: r.Err,
	}.String()
	m := &wire.Message{Source: phone(s.To), Dest: wire.Addr{Digits: s.From, TON: s.FromTON}, EsmClass: wire.EsmReceipt}
	if !r.TextOnly {
		m.TLVs = m.TLVs.Append(pdu.TagReceiptedMessageID, append([]byte(r.ID), 0))
		if state, ok := messageStates[r.Stat]; ok {
			m.TLVs = m.TLVs.Append(pdu.TagMessageState, []byte{state})
		}
	}
	switch {
	case r.DataSM:
		if r.TLVOnly {
			text = ""
		}
		m.TLVs = m.TLVs.Append(pdu.TagMessagePayload, []byte(text))
	case !r.TLVOnly:
		m.Short = []byte(text)
	}
	return m
}

func phone(number string) wire.Addr {
	if len(number) > 0 && number[0] == '+' {
		return wire.Addr{TON: 1, NPI: 1, Digits: number[1:]}
	}
	return wire.Addr{Digits: number}
}

func (s *Server) checkBind(b wire.Bind, bound bool) smpp.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case bound:
		return smpp.StatusAlreadyBound
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

// id returns the id given, or a new one.
func (s *Server) id(given string) string {
	if given != "" {
		return given
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids++
	return "m" + strconv.Itoa(s.ids)
}
