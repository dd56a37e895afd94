package smpp

import "encoding/json"

// MarshalJSON is String: it keeps the addresses and the text out of logs.
func (m Inbound) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }
