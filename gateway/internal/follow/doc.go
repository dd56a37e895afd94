// Package follow learns the states of submitted messages, for the channels
// below gateway. It joins the reports of webhooks with polls of the provider, because
// either may fail: a phone may post no webhook, and a server may not answer.
//
// Config.Receipt is called once for each state, in the order Sent, Failed,
// Delivered, and never for an earlier state after a later one. A message is polled
// a last time at its expiry, unless there are far more messages than may be
// polled. If its state is not final then, Receipt gets the last state with the
// provider's word as Code, unless Receipt had it before. A later report becomes a
// receipt if it is news.
//
// If Receipt returns an error for a report, Report returns it, so that the webhook
// is repeated. A state that was polled is passed to Receipt again by the Follower.
package follow
