package wire

import "github.com/ajankovic/smpp/pdu"

// A Cancel is the body of cancel_sm (SMPP 3.4, section 4.9.1).
type Cancel struct {
	ServiceType  string
	ID           string // message_id; empty: all messages between the addresses
	Source, Dest Addr
}

// AppendCancel appends a cancel_sm. Its fields must pass CheckCString.
func AppendCancel(b []byte, seq uint32, v Cancel) []byte {
	at := len(b)
	b = begin(b, pdu.CancelSmID, 0, seq)
	b = appendCString(b, v.ServiceType)
	b = appendCString(b, v.ID)
	b = appendAddr(b, v.Source)
	b = appendAddr(b, v.Dest)
	return finish(b, at)
}

// DecodeCancel decodes the body of a cancel_sm.
func DecodeCancel(body []byte) (Cancel, error) {
	d := decoder{rest: body}
	v := Cancel{ServiceType: d.cString(), ID: d.cString(), Source: d.addr(), Dest: d.addr()}
	return v, d.err
}
