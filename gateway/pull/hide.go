package pull

import "encoding/json"

// MarshalJSON is String: it keeps the secret out of logs.
func (p Phone) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }
