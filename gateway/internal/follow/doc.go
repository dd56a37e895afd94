// Package follow learns what becomes of submitted messages, for the channels
// of package gateway. It joins what webhooks report with what it asks the
// provider itself, because either may fail: a phone that posts no webhook, a
// server that answers no question.
//
// A state is told once, and never a lesser one after it: Sent, Failed,
// Delivered. At a message's expiry it is asked for a last time, unless there are
// far more messages than may be asked for; if its state is not final then, the
// last one is told, with the provider's word for it as Code, unless it was told
// before. A report that comes after that is told too, if it is news.
//
// A callback's error goes back to whoever reported, so that the webhook is
// repeated. What the Follower has learned by asking, it tells again itself.
package follow
