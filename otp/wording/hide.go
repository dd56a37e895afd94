package wording

import (
	"encoding/json"
	"log/slog"
)

// String keeps the code and the details out of logs.
func (d Data) String() string { return "wording.Data(" + d.Language + ")" }

// GoString is String.
func (d Data) GoString() string { return d.String() }

// LogValue is String.
func (d Data) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalJSON is String.
func (d Data) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// String keeps the code out of logs. A program that prints the message must name
// the field.
func (t Text) String() string { return "wording.Text" }

// GoString is String.
func (t Text) GoString() string { return t.String() }

// LogValue is String.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON is String.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
