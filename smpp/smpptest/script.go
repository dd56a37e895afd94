package smpptest

import (
	"time"

	"github.com/otpcourier/otpcourier/smpp"
)

// A Handler decides the answer to a submit_sm. It is called for each part of a
// long message, concurrently for different connections.
type Handler func(s Submit) Reply

// A Submit is a received submit_sm.
type Submit struct {
	Number   int    // counts the server's submit_sm, from 1
	Conn     int    // number of the connection, from 1
	Sequence uint32 // sequence_number

	From    string // source_addr
	FromTON uint8
	To      string // destination_addr, with a "+" if its TON is international

	Text        string // of this part
	Octets      int    // length of the message, without its user data header
	DataCoding  uint8
	Part, Parts int           // 1 of 1 unless the message is long
	Validity    time.Duration // relative validity_period; zero: none
	Receipt     bool          // whether a delivery receipt is requested

	Status smpp.Status // the answer
	ID     string      // message_id; empty if the status is not OK

	reference int    // identifies the long message of this part
	data      []byte // undecoded text
}

// A Reply is the answer to a submit_sm. The zero value accepts it.
type Reply struct {
	// Status refuses the message unless it is smpp.StatusOK.
	Status smpp.Status

	// ID is the message_id. Default: a new one.
	ID string

	// Delay is the time until the answer. Other messages do not wait for it.
	Delay time.Duration

	// Until holds the answer back until the channel is closed. Default: nil,
	// the answer is not held back.
	Until <-chan struct{}

	// Stall leaves the message without an answer.
	Stall bool

	// Hangup closes the connection instead of an answer, after the first
	// HangupAfter octets of it.
	Hangup      bool
	HangupAfter int

	// Receipt plans the delivery receipt. It is sent if the message asks for it
	// and is accepted.
	Receipt Receipt
}

// A Receipt is a plan for a delivery receipt. The zero value sends one,
// directly after the response, with stat:DELIVRD in both its text and its TLVs.
type Receipt struct {
	// None sends no receipt.
	None bool

	// Stat is the state in the words of SMPP 3.4, Appendix B. Default:
	// "DELIVRD".
	Stat string

	// Err is the error code in the text. Default "000".
	Err string

	// Delay is the time from the response to the receipt.
	Delay time.Duration

	// Early sends the receipt before the response.
	Early bool

	// Copies is the number of times that it is sent. Default 1.
	Copies int

	// ID replaces the message id, for an SMSC that writes ids differently in
	// receipts.
	ID string

	// TextOnly leaves out the TLVs, TLVOnly the text.
	TextOnly, TLVOnly bool

	// DataSM sends it as data_sm instead of deliver_sm.
	DataSM bool
}

// On sets the replies to messages to a destination, in order. The last reply is
// repeated. Without replies the destination has the default again.
func (s *Server) On(to string, replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on[to] = replies
}

// Next answers the next n messages, whatever their destination, with r.
func (s *Server) Next(n int, r Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.next = append(s.next, r)
	}
}

// Handle replaces Config.Handler.
func (s *Server) Handle(h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Handler = h
}

// NextCancels answers the next n cancel_sm with r. Only its Status, Delay,
// Until, Stall and Hangup matter. StatusOK accepts any cancel_sm, without
// effect on a message.
func (s *Server) NextCancels(n int, r Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.nextCancels = append(s.nextCancels, r)
	}
}

// RefuseBinds answers later binds with the status; smpp.StatusOK makes the
// server check credentials again. Bound sessions stay.
func (s *Server) RefuseBinds(status smpp.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = status
}

// reply chooses the reply: the server's own rules come first, then Next, On and
// the Handler.
func (s *Server) reply(m Submit) Reply {
	s.mu.Lock()
	switch {
	case s.throttled(time.Now()):
		s.mu.Unlock()
		return Reply{Status: smpp.StatusThrottled}
	case len(s.next) > 0:
		r := s.next[0]
		s.next = s.next[1:]
		s.mu.Unlock()
		return r
	case len(s.on[m.To]) > 0:
		r := s.on[m.To][0]
		if len(s.on[m.To]) > 1 {
			s.on[m.To] = s.on[m.To][1:]
		}
		s.mu.Unlock()
		return r
	}
	h := s.config.Handler
	s.mu.Unlock()
	if h == nil {
		return Reply{}
	}
	return h(m)
}

// throttled counts a message against Config.TPS. s.mu is held.
func (s *Server) throttled(now time.Time) bool {
	if s.config.TPS <= 0 {
		return false
	}
	for len(s.taken) > 0 && now.Sub(s.taken[0]) >= time.Second {
		s.taken = s.taken[1:]
	}
	if len(s.taken) >= s.config.TPS {
		return true
	}
	s.taken = append(s.taken, now)
	return false
}
