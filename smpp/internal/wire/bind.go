package wire

import (
	"github.com/ajankovic/smpp/pdu"
)

// Version34 is SMPP 3.4 as interface_version.
const Version34 = 0x34

// A Bind is the body of bind_transceiver, bind_transmitter and bind_receiver.
type Bind struct {
	SystemID, Password, SystemType string
	Version                        uint8
}

// AppendBind appends a bind of the kind id.
func AppendBind(b []byte, id pdu.CommandID, seq uint32, v Bind) ([]byte, error) {
	return AppendBindFor(b, id, seq, v, Addr{})
}

// AppendBindFor is AppendBind for an ESME that serves a range of addresses:
// addr_ton, addr_npi and address_range.
func AppendBindFor(b []byte, id pdu.CommandID, seq uint32, v Bind, served Addr) ([]byte, error) {
	body, err := pdu.BindTRx{
		SystemID: v.SystemID, Password: v.Password, SystemType: v.SystemType,
		InterfaceVersion: int(v.Version),
		AddrTon:          int(served.TON), AddrNpi: int(served.NPI), AddressRange: served.Digits,
	}.MarshalBinary() // the three kinds have one form (SMPP 3.4, section 4.1)
	if err != nil {
		return b, err
	}
	at := len(b)
	return finish(append(begin(b, id, 0, seq), body...), at), nil
}

// DecodeBind decodes the body of a bind.
func DecodeBind(body []byte) (Bind, error) {
	d := decoder{rest: body}
	v := Bind{SystemID: d.cString(), Password: d.cString(), SystemType: d.cString(), Version: d.octet()}
	return v, d.err
}

// BindRange returns addr_ton, addr_npi and address_range from the body of a bind. If
// the body ends before them, the result is zero.
func BindRange(body []byte) Addr {
	d := decoder{rest: body}
	_, _, _, _ = d.cString(), d.cString(), d.cString(), d.octet()
	served := d.addr()
	if d.err != nil {
		return Addr{}
	}
	return served
}
