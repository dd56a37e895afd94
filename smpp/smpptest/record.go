package smpptest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A Bind is a received bind with its answer.
type Bind struct {
	Conn     int // number of the connection, from 1
	SystemID string
	Version  uint8 // interface_version
	Status   smpp.Status
	At       time.Time
}

// A Message is a message whose parts were all accepted.
type Message struct {
	From, To string
	Text     string
	IDs      []string      // message_id of each part, in order
	Validity time.Duration // of the first part
	Receipt  bool          // whether a receipt is requested
}

// Messages returns the messages accepted so far, in the order of their
// completion.
func (s *Server) Messages() []Message { return assemble(s.Submits()) }

// Submits returns every submit_sm received so far, with the refused ones.
func (s *Server) Submits() []Submit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.submits)
}

// Binds returns every bind received so far.
func (s *Server) Binds() []Bind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.binds)
}

// Answers returns the statuses of the answers to receipts so far.
func (s *Server) Answers() []smpp.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answers)
}

// Wait waits until the server has accepted n messages in all, and returns them.
// If ctx ends first, it returns the messages so far, and the error of ctx.
func (s *Server) Wait(ctx context.Context, n int) ([]Message, error) {
	var got []Message
	err := s.wait(ctx, "messages", n, func() int {
		got = s.Messages()
		return len(got)
	})
	return got, err
}

// WaitSubmits waits until the server has received n submit_sm in all, whatever
// their answer.
func (s *Server) WaitSubmits(ctx context.Context, n int) error {
	return s.wait(ctx, "submit_sm", n, func() int { return len(s.Submits()) })
}

func (s *Server) wait(ctx context.Context, what string, n int, count func() int) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		got := count()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("smpptest: %d of %d %s: %w", got, n, what, ctx.Err())
		}
	}
}

func (s *Server) addBind(b smppserver.BindRequest, status smpp.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binds = append(s.binds, Bind{
		Conn: int(b.Session.Number()), SystemID: b.SystemID, Version: b.Version, Status: status, At: time.Now(),
	})
}

func (s *Server) addAnswer(status smpp.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, status)
}

func (s *Server) record(m Submit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.Forget {
		return
	}
	s.submits = append(s.submits, m)
	if m.ID != "" {
		s.stored[m.ID] = &storedMessage{from: m.From, to: m.To}
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// describe returns the record of a submit_sm.
func (s *Server) describe(m *smppserver.Submit) Submit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
	return Submit{
		Number: s.received, Conn: int(m.Session.Number()), Sequence: m.Sequence,
		From: m.From, FromTON: m.FromTON, To: m.To,
		Text: m.Text, Octets: len(m.Data), DataCoding: m.DataCoding,
		Part: m.Part, Parts: m.Parts, Validity: m.Validity, Receipt: m.Receipt,
		reference: m.Reference, data: m.Data,
	}
}

// assemble joins the accepted parts. A text is decoded as a whole, because some
// senders cut a surrogate pair in two.
func assemble(submits []Submit) []Message {
	type key struct {
		from, to   string
		ref, total int
	}
	open := make(map[key][]Submit)
	var done []Message
	for _, p := range submits {
		if p.ID == "" {
			continue
		}
		k := key{p.From, p.To, p.reference, p.Parts}
		open[k] = append(open[k], p)
		if parts := open[k]; len(parts) == p.Parts {
			delete(open, k)
			done = append(done, join(parts))
		}
	}
	return done
}

func join(parts []Submit) Message {
	slices.SortFunc(parts, func(a, b Submit) int { return a.Part - b.Part })
	m := Message{From: parts[0].From, To: parts[0].To, Validity: parts[0].Validity, Receipt: parts[0].Receipt}
	var data []byte
	for _, p := range parts {
		m.IDs = append(m.IDs, p.ID)
		data = append(data, p.data...)
	}
	m.Text = wire.DecodeText(data, wire.Encoding(parts[0].DataCoding, sms.GSM7))
	return m
}
