package smsgate

import "encoding/json"

// MarshalJSON is String: it keeps the keys out of logs.
func (d Device) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }
