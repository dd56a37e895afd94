package smppserver

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/concat"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// assembleLimits bound the parts of incomplete messages. An owner is a
// system_id.
func (c *Config) assembleLimits() concat.Limits {
	return concat.Limits{Life: 5 * time.Minute, PerOwner: 1000, Octets: c.MaxMessage}
}

// assemble takes a part of a long message. If m completes the message, it
// returns the whole message, else nil and the answer to the part.
func (s *Server) assemble(m *Submit, now time.Time) (whole *Submit, id string, status smpp.Status) {
	key := concat.Key{Owner: m.SystemID, From: m.From, To: m.To, Reference: m.Reference, Parts: m.Parts}
	long, id, err := s.parts.Add(key, m.Part, concat.Part{
		Text: m.Data, ID: newMessageID(), Expires: m.Expires,
		DataCoding: m.DataCoding, Registered: m.Registered,
	})
	switch {
	case errors.Is(err, concat.ErrFull):
		return nil, "", smpp.StatusQueueFull
	case errors.Is(err, concat.ErrHandled):
		return nil, "", smpp.StatusThrottled
	case err != nil:
		return nil, "", smpp.StatusInvalidMsgLength
	case long == nil:
		return nil, id, smpp.StatusOK
	}
	if whole = s.whole(m, long, now); whole.isExpired(now) { // by an earlier part
		s.parts.Forget(long)
		return nil, "", smpp.StatusInvalidExpiry
	}
	return whole, "", smpp.StatusOK
}

// whole returns the message completed by m. Its answer is the answer to m. The
// text is decoded as a whole, because some senders cut a surrogate pair in two.
func (s *Server) whole(m *Submit, long *concat.Message, now time.Time) *Submit {
	v := *m
	v.expire(earliest(long.Parts()), now)
	v.Part, v.Parts = 1, 1
	v.Registered = joinRegistered(long.Parts())
	v.Receipt = v.Registered&wire.ReceiptMask != 0
	v.PartIDs, v.long = long.EarlierIDs(), long
	v.Data = long.Text()
	v.Text = m.Session.alphabets.join(long)
	return &v
}

// join returns the text of a whole message. If its parts are in different
// codings, each is decoded apart: an ESME may choose a coding for each part.
func (a alphabets) join(long *concat.Message) string {
	parts := long.Parts()
	coding := parts[0].DataCoding
	if !slices.ContainsFunc(parts, func(p concat.Part) bool { return p.DataCoding != coding }) {
		return a.decode(long.Text(), coding)
	}
	var text strings.Builder
	for _, p := range parts {
		text.WriteString(a.decode(p.Text, p.DataCoding))
	}
	return text.String()
}

// earliest returns the earliest end of a part's life, or zero if none ends.
func earliest(parts []concat.Part) time.Time {
	var first time.Time
	for _, p := range parts {
		if first.IsZero() || !p.Expires.IsZero() && p.Expires.Before(first) {
			first = p.Expires
		}
	}
	return first
}

// assembled notes the answer to a whole message. If the answer asks for another
// try, the parts are kept.
func (s *Server) assembled(long *concat.Message, status smpp.Status) {
	switch status.Class() {
	case channel.Temporary, channel.Throttled:
		s.parts.Retry(long)
	default:
		s.parts.Forget(long)
	}
}
