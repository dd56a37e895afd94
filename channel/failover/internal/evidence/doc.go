// Package evidence estimates which route delivers, and orders routes by it. It has no
// clock, no I/O and no randomness of its own: every call is given the time, and a draw
// is a hash of the message. An [Estimator] is not safe for concurrent use.
//
// # What is counted
//
// A [Cell] is one route in one region. It counts messages in a ring of [Slots] slots of
// [Slot] by the time at which they were sent, since most of the evidence on a message
// comes later: its verification, its receipt, a resend, or the lack of all three. When a
// slot leaves the ring, its counts join the cell's totals, which halve every
// Params.HalfLife.
//
// # Two questions
//
// How good is the route usually? The estimate is the mean of a Beta posterior: the share
// of messages that were verified, with a prior of weight Params.Prior. The prior's mean
// is the share of the region over all routes, times the ratio of verified to
// expected messages of the route in all regions. So a route without messages in a region
// is expected to do there as elsewhere, and a new route to do as the others.
//
// Does the route lose messages now? The doubt is a Page (CUSUM) statistic of the
// log-likelihood ratio between "as usual" and "only Params.Loses of the usual arrives".
// It is summed over the slots in the order of sending, and never falls below a floor.
// A verification speaks against loss. These speak for it: a message that is not verified
// although most are by its age, no receipt where the route usually reports, a resend, a
// failed receipt, an error of the route. A receipt of delivery speaks for neither, since
// routes exist that report what never arrived. The doubt exists for the cell, and for
// the route in all regions; the greater holds.
//
// The floor is the logarithm of the chance that the route fails between two messages, so
// that a busy cell needs more messages to alarm, and no more time.
//
// # The order
//
// The score of a route is estimate × (1 − probability of loss) − price in terms of a
// verification's worth. A route passes the one before it in the given order if its score
// is greater by Params.Margin. The score that is compared moves only if the exact one
// has left it by more than Params.Band: routes do not flap. Routes keep to the places
// of their own kind of address.
package evidence
