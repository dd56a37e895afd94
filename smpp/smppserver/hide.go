package smppserver

import "encoding/json"

// MarshalJSON is String: it keeps the password out of logs.
func (b BindRequest) MarshalJSON() ([]byte, error) { return json.Marshal(b.String()) }

// MarshalJSON is String: it keeps the text and the addresses out of logs.
func (m Submit) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// MarshalJSON is String: it keeps the text and the addresses out of logs.
func (m MobileMessage) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// MarshalJSON is String: it keeps the addresses out of logs.
func (r DeliveryReceipt) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// MarshalJSON is String: it keeps the addresses out of logs.
func (r CancelRequest) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// MarshalJSON is String: it keeps the addresses out of logs.
func (r QueryRequest) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }
