// Package wire is SMPP 3.4 as octets: whole frames in and out, the PDUs that a
// client and a server exchange, the text of delivery receipts, and the protocol's
// numbers. It does not deal with sessions.
//
// Command ids and tags are those of github.com/ajankovic/smpp/pdu, and so is
// the marshalling where it is right. Decoding is our own: that package refuses
// bodies which real SMSCs send (short ones, addresses of 21 characters,
// trailing NULs, time fields in odd forms) and panics on unknown command ids.
//
// Decoders are lenient where that costs nothing, and never panic. Their results
// share no memory with the frame, unless the comment says so.
package wire
