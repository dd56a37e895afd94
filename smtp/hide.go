package smtp

import "encoding/json"

// MarshalJSON is String: it keeps the key out of logs.
func (k DKIMKey) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// MarshalJSON is String: it keeps the password out of logs.
func (r Relay) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }
