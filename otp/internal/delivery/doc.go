// Package delivery decides what happens to the messages of a challenge. It is a
// state machine without I/O and without a clock: the Service keeps a [Delivery]
// in the record of the challenge, applies one event at a time by
// compare-and-swap, and asks [Delivery.Next] for the due move.
//
// # Events are recorded, wake-ups only wake
//
// A wake-up says "look at challenge C", and nothing else. The process that
// handles it reads the record and does what Next says. A wake-up that comes
// twice, late or without need does no harm. Three rules are enough to survive
// the death of a process and the failure of a call:
//
//  1. If something is due later, its wake-up is enqueued before the record is
//     written.
//  2. A process that wakes too early arranges to be woken again.
//  3. The charges that an event leaves over are refunded by the process whose
//     swap recorded that event, and by no other.
//
// # Phases
//
// Messages are numbered steps. An attempt is the hold that one sender has on a
// step: it has a lease, and the sender counts as dead when the lease is over.
//
//	      Claim            Finish: taken, or perhaps
//	Due ─────────► Sending ──────────────────────────► Sent
//	 ▲  ◄───────────  │ │                               │ receipt failed, or none
//	 │   Finish: not  │ └─► Refused ─► Due (Repeat)     │ came: the next step
//	 │   sent, retry  └─► Failed  no route is left      │
//	 └──────────────────────────────────────────────────┘
//	any phase ── a message arrived ──► Delivered
//	any phase ── Resend, once no lease is live ──► Sending of the next step
//
// The table says what [Delivery.Next] answers for an open challenge. For a
// closed one the answer is Withdraw or Nothing, for an expired one Nothing.
//
//	phase                        before At   from At on
//	Sending                      Wait        Send the same step, once: its sender died
//	any, and a Resend was asked  —           Send the next step, by all routes
//	Due                          Wait        Send the step
//	Sent, receipt awaited        Wait        Send the next step, by routes not tried
//	Sent, not awaited            —           Nothing
//	Failed, Refused, Delivered   —           Nothing
//
// Five details are easy to lose in a change, and a test holds each: a swap
// whose answer was lost recognises its own write (by [Delivery.Owner]); a late
// Delivered leaves a live lease alone; a step in doubt is not retried; "due
// now" is the zero time, so that a slow clock does not strand it; and a wake-up
// for now comes after the record, since a faster worker would find nothing.
//
// # Charges
//
// A [Charge] is what a message took from the limits of an address, and of the
// network that asked. The caller that took a charge refunds it if nothing was
// recorded. Afterwards the record holds it, and Claim, Finish and Receive
// return the charges of messages that surely did not go out.
package delivery
