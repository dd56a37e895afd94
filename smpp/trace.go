package smpp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A PDU is a protocol data unit that crossed a connection, for [Config].Trace. It
// never has the password of a bind. Texts and addresses are masked, unless
// Config.DangerouslyTraceContents is set.
type PDU struct {
	At       time.Time
	Addr     string // of the SMSC
	Sent     bool   // by the client; false: received
	Command  string // for example "submit_sm", or "0x00000DEF" if the standard has no such command
	Status   Status // command_status
	Sequence uint32 // sequence_number
	Fields   []PDUField
}

// A PDUField is a field of a PDU's body, in the order of the wire.
type PDUField struct {
	Name  string // in the words of SMPP 3.4; "tlv_0x1400" for a parameter
	Value string // numbers are decimal, octets hexadecimal
}

// String returns the PDU in one line.
func (p PDU) String() string {
	var b strings.Builder
	if p.Sent {
		b.WriteString("sent ")
	} else {
		b.WriteString("received ")
	}
	fmt.Fprintf(&b, "%s seq=%d status=%s", p.Command, p.Sequence, p.Status.Code())
	for _, f := range p.Fields {
		fmt.Fprintf(&b, " %s=%q", f.Name, f.Value)
	}
	return b.String()
}

// LogValue returns the PDU as a group.
func (p PDU) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.Bool("sent", p.Sent), slog.String("command", p.Command), slog.String("status", p.Status.Code()),
		slog.Uint64("seq", uint64(p.Sequence)),
	}
	for _, f := range p.Fields {
		attrs = append(attrs, slog.String(f.Name, f.Value))
	}
	return slog.GroupValue(attrs...)
}

// A tracer reports the PDUs of one connection. A nil tracer reports nothing.
type tracer struct {
	config *Config
	addr   string
}

func (c *Config) tracer(addr string) *tracer {
	if c.Trace == nil {
		return nil
	}
	return &tracer{c, addr}
}

// wrap returns conn with a trace of its writes.
func (t *tracer) wrap(conn net.Conn) net.Conn {
	if t == nil {
		return conn
	}
	return tracedConn{conn, t}
}

// received reports a frame from the SMSC.
func (t *tracer) received(f wire.Frame) {
	if t != nil {
		t.report(f, false)
	}
}

// A tracedConn traces written frames.
type tracedConn struct {
	net.Conn
	tracer *tracer
}

// Write writes whole frames.
func (c tracedConn) Write(b []byte) (int, error) {
	for rest := b; len(rest) >= wire.HeaderLen; {
		n := int(binary.BigEndian.Uint32(rest))
		c.tracer.report(wire.Frame{
			Header: wire.Header{
				ID: pdu.CommandID(binary.BigEndian.Uint32(rest[4:])), Status: binary.BigEndian.Uint32(rest[8:]),
				Seq: binary.BigEndian.Uint32(rest[12:]),
			},
			Body: rest[wire.HeaderLen:n],
		}, true)
		rest = rest[n:]
	}
	return c.Conn.Write(b)
}

func (t *tracer) report(f wire.Frame, sent bool) {
	d := describer{open: t.config.DangerouslyTraceContents}
	d.body(f)
	t.config.Trace(PDU{
		At: time.Now(), Addr: t.addr, Sent: sent, Command: commandName(f.ID), Status: Status(f.Status),
		Sequence: f.Seq, Fields: d.fields,
	})
}

// commands are the names of requests. A response has the name of its request and
// "_resp".
var commands = map[pdu.CommandID]string{
	pdu.BindReceiverID: "bind_receiver", pdu.BindTransmitterID: "bind_transmitter",
	pdu.BindTransceiverID: "bind_transceiver", pdu.QuerySmID: "query_sm", pdu.SubmitSmID: "submit_sm",
	pdu.DeliverSmID: "deliver_sm", pdu.UnbindID: "unbind", pdu.ReplaceSmID: "replace_sm",
	pdu.CancelSmID: "cancel_sm", pdu.OutbindID: "outbind", pdu.EnquireLinkID: "enquire_link",
	pdu.SubmitMultiID: "submit_multi", pdu.AlertNotificationID: "alert_notification", pdu.DataSmID: "data_sm",
}

func commandName(id pdu.CommandID) string {
	if id == pdu.GenericNackID {
		return "generic_nack"
	}
	if name, ok := commands[id&^pdu.GenericNackID]; ok {
		if id&pdu.GenericNackID != 0 {
			return name + "_resp"
		}
		return name
	}
	return fmt.Sprintf("0x%08X", uint32(id))
}

// A describer makes the fields of a PDU.
type describer struct {
	open   bool // shows texts and addresses
	fields []PDUField
}

func (d *describer) add(name, value string) { d.fields = append(d.fields, PDUField{name, value}) }

func (d *describer) octet(name string, v uint8) { d.add(name, strconv.Itoa(int(v))) }

// body describes the body of a frame.
func (d *describer) body(f wire.Frame) {
	switch f.ID {
	case pdu.BindReceiverID, pdu.BindTransmitterID, pdu.BindTransceiverID:
		d.bind(f.Body)
	case pdu.BindReceiverRespID, pdu.BindTransmitterRespID, pdu.BindTransceiverRespID:
		d.response("system_id", f.Body)
	case pdu.SubmitSmRespID, pdu.DeliverSmRespID, pdu.DataSmRespID:
		d.response("message_id", f.Body)
	case pdu.SubmitSmID, pdu.DeliverSmID:
		m, err := wire.DecodeUncounted(f.Body)
		d.message(m, err, f)
	case pdu.DataSmID:
		m, err := wire.DecodeDataSM(f.Body)
		d.message(m, err, f)
	case pdu.CancelSmID:
		c, err := wire.DecodeCancel(f.Body)
		if err != nil {
			d.malformed(f.Body)
			return
		}
		d.add("service_type", c.ServiceType)
		d.add("message_id", c.ID)
		d.address("source_addr", c.Source)
		d.address("destination_addr", c.Dest)
	default:
		if len(f.Body) > 0 {
			d.malformed(f.Body)
		}
	}
}

// malformed describes a body that cannot be decoded. It hides the octets, which
// may be a text.
func (d *describer) malformed(body []byte) { d.hidden("body", body) }

// hidden describes octets that may hold a text.
func (d *describer) hidden(name string, v []byte) {
	if d.open {
		d.add(name, hex.EncodeToString(v))
		return
	}
	d.add(name, fmt.Sprintf("*** (%d octets)", len(v)))
}

func (d *describer) bind(body []byte) {
	b, err := wire.DecodeBind(body)
	if err != nil {
		d.malformed(nil)
		return
	}
	d.add("system_id", b.SystemID)
	d.add("password", "***")
	d.add("system_type", b.SystemType)
	d.add("interface_version", fmt.Sprintf("0x%02X", b.Version))
	d.address("address_range", wire.BindRange(body))
}

func (d *describer) response(name string, body []byte) {
	id := wire.DecodeID(body)
	if len(body) > 0 {
		d.add(name, id)
	}
	if len(body) > len(id)+1 {
		d.tlvs(wire.TLVs(body[len(id)+1:]))
	}
}

func (d *describer) address(name string, a wire.Addr) {
	d.octet(name+"_ton", a.TON)
	d.octet(name+"_npi", a.NPI)
	if d.open {
		d.add(name, a.Digits)
	} else {
		d.add(name, channel.Mask(a.Digits))
	}
}

func (d *describer) message(m *wire.Message, err error, f wire.Frame) {
	if err != nil {
		d.malformed(f.Body)
		return
	}
	d.add("service_type", m.ServiceType)
	d.address("source_addr", m.Source)
	d.address("destination_addr", m.Dest)
	d.add("esm_class", fmt.Sprintf("0x%02X", m.EsmClass))
	if f.ID != pdu.DataSmID {
		d.octet("protocol_id", m.ProtocolID)
		d.octet("priority_flag", m.Priority)
		d.add("schedule_delivery_time", m.Schedule)
		d.add("validity_period", m.Validity)
	}
	d.octet("registered_delivery", m.Registered)
	d.add("data_coding", fmt.Sprintf("0x%02X", m.DataCoding))
	if f.ID != pdu.DataSmID {
		d.hidden("short_message", m.Short)
	}
	if m.EsmClass&wire.EsmTypeMask != 0 {
		d.receipt(m)
	}
	d.tlvs(m.TLVs)
}

// receipt describes the text of a receipt without the message that it quotes.
func (d *describer) receipt(m *wire.Message) {
	r := readReceipt(m, nil)
	if wire.CheckCString(r.ID, wire.MaxMessageID) != nil {
		r.ID = ""
	}
	d.add("receipt", "id:"+r.ID+" stat:"+plain(r.Stat)+" err:"+plain(r.Err))
}

// openTags are the parameters that hold neither a text nor an address.
var openTags = []pdu.TagID{
	pdu.TagReceiptedMessageID, pdu.TagMessageState, pdu.TagNetworkErrorCode, pdu.TagSarMsgRefNum,
	pdu.TagSarTotalSegments, pdu.TagSarSegmentSeqnum, pdu.TagScInterfaceVersion, tagCongestionState,
}

func (d *describer) tlvs(t wire.TLVs) {
	for len(t) >= 4 {
		tag, n := pdu.TagID(binary.BigEndian.Uint16(t)), int(binary.BigEndian.Uint16(t[2:]))
		if n > len(t)-4 {
			break
		}
		name := fmt.Sprintf("tlv_0x%04X", uint16(tag))
		switch v := t[4 : 4+n]; {
		case tag == pdu.TagReceiptedMessageID:
			d.add(name, strings.TrimRight(string(v), "\x00"))
		case slices.Contains(openTags, tag):
			d.add(name, hex.EncodeToString(v))
		default:
			d.hidden(name, v)
		}
		t = t[4+n:]
	}
	if len(t) > 0 {
		d.hidden("trailing", t)
	}
}
