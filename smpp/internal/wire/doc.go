// Package wire is SMPP 3.4 as octets: whole frames in and out, the PDUs that a
// client and a server exchange, the text of delivery receipts, and the
// protocol's numbers. It has no sessions.
//
// Command ids and tags are those of github.com/ajankovic/smpp/pdu, and so is
// the marshalling where it is right. Decoding is our own: that package refuses
// bodies that real SMSCs send (short bodies, addresses of 21 characters,
// trailing NULs, time fields in odd forms) and panics on unknown command ids.
//
// Decoders are lenient if that costs nothing, and never panic. Unless a comment
// says otherwise, their results share no memory with the frame.
package wire
