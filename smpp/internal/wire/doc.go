// Package wire is SMPP 3.4 as octets: whole frames in and out, the PDUs that a
// client and a server exchange, and the text of delivery receipts. It knows
// nothing of sessions.
//
// Command ids and tags are those of github.com/ajankovic/smpp/pdu, and so is
// the marshalling where it is right. Decoding is our own: that package refuses
// bodies which real SMSCs send (short ones, addresses of 21 characters,
// trailing NULs, time fields in odd forms) and panics on unknown command ids.
//
// Decoders are lenient in what costs nothing and never panic. What they return
// shares no memory with the frame, unless its comment says so.
package wire
