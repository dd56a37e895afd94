package wire

import (
	"github.com/ajankovic/smpp/pdu"
)

// A Query is the body of query_sm (SMPP 3.4, section 4.8.1).
type Query struct {
	ID     string // message_id
	Source Addr
}

// AppendQuery appends a query_sm. Its fields must pass CheckCString.
func AppendQuery(b []byte, seq uint32, v Query) []byte {
	at := len(b)
	b = appendCString(begin(b, pdu.QuerySmID, 0, seq), v.ID)
	return finish(appendAddr(b, v.Source), at)
}

// DecodeQuery decodes the body of a query_sm.
func DecodeQuery(body []byte) (Query, error) {
	d := decoder{rest: body}
	v := Query{ID: d.cString(), Source: d.addr()}
	return v, d.err
}

// A QueryResp is the body of query_sm_resp (SMPP 3.4, section 4.8.2).
type QueryResp struct {
	ID        string
	FinalDate string // absolute time; empty: the state is not final
	State     uint8  // message_state
	ErrorCode uint8  // of the network
}

// AppendQueryResp appends the answer to a query_sm. Its fields must pass
// CheckCString.
func AppendQueryResp(b []byte, seq uint32, v QueryResp) []byte {
	at := len(b)
	b = appendCString(begin(b, pdu.QuerySmRespID, 0, seq), v.ID)
	b = appendCString(b, v.FinalDate)
	return finish(append(b, v.State, v.ErrorCode), at)
}

// DecodeQueryResp decodes the body of a query_sm_resp.
func DecodeQueryResp(body []byte) (QueryResp, error) {
	d := decoder{rest: body}
	v := QueryResp{ID: d.cString(), FinalDate: d.cString(), State: d.octet(), ErrorCode: d.octet()}
	return v, d.err
}
