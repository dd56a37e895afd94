// Package failover joins several routes into one [channel.Channel]. It hands a
// message to the best route. If that fails, the class of the failure decides
// whether the next route gets the message.
//
//	sms, err := failover.New(failover.Config{
//		Router: failover.List(
//			channel.Route{Name: "imessage", Channel: blue, Address: channel.Phone},
//			channel.Route{Name: "carrier-a", Channel: a, Address: channel.Phone, Retry: channel.Retry{Attempts: 2}},
//			channel.Route{Name: "email", Channel: mail, Address: channel.Email},
//		),
//	})
//	submission, err := sms.Send(ctx, message)
//
// A [channel.Router] picks the routes: [List] always picks the same, [ByCountry]
// decides by the recipient's number, [ByWeight] draws at random in proportion. A
// program may bring its own. [Learn] reorders the routes of another Router by what
// it has seen of them: see LEARN.md in this folder.
//
// Routes that Message.Last names are tried after the others: a resend names the
// routes by which nothing has arrived.
//
// A route is skipped if the message cannot use it: the recipient lacks its kind
// of address, Message.Invalid rules that kind out, Message.Tried names the route,
// or Message.Route is set and names another.
//
// # After a failure
//
//	Unknown           next route with the same code, never the same route again;
//	                  with Config.StopOnUnknown: stop
//	Temporary         same route after a pause (Route.Retry), then the next
//	Throttled         as Temporary, after at least Error.RetryAfter; if that is
//	                  set, one more try even without a Route.Retry
//	Unreachable       next route at once
//	InvalidRecipient  next route that needs another kind of address
//	Misconfigured     next route; logged as an error; the second opens the breaker
//	Expired           stop
//
// Route.Classes overrules the class that a channel gives to a protocol code. An
// error without a class is Unknown.
//
// After Unknown a person may get the same code twice, by two routes. That is the
// default because the code is the same, and a code that does not come costs more
// than a code that comes twice.
//
// # Time
//
// A try ends with ctx, at Message.Expires, after Config.TryTimeout, or after the
// route's share of the time that is left for the routes that can follow, whichever
// is first. So a route that hangs does not use up the time of the routes behind
// it, its retries included. A share is a second at least; if that leaves no time for others, or ctx ends,
// Submission.More tells that routes are left. If the channel cannot say more
// when its try ends, the try is Unknown, and the next route is tried.
//
// If a pause could not end before the deadline, or if a provider asks for more
// than Config.MaxPause, the next route is tried at once. If no usable route
// follows, a Throttled may ask for any pause within the deadline. Nothing is tried
// after ctx or the code has ended.
//
// # Breakers
//
// Each route has a circuit breaker, by name. It opens after Breaker.Failures
// failures in a row, or after two of class Misconfigured, of several recipients.
// While it is open, the route is skipped: its hop is a Temporary with
// [ErrBreakerOpen] that took no time. If no other route takes the message, and
// it surely was not sent, a route that was skipped is tried anyway. After
// Breaker.Open one message is let through as a probe. If the probe succeeds, the
// breaker closes; if it fails, the breaker stays open.
//
//   - Unreachable, InvalidRecipient, and Temporary with Error.AboutRecipient count
//     as successes: the route did answer.
//   - Unknown and other Temporary count as failures.
//   - Throttled and Expired do not count.
//   - A try that was cancelled does not count.
//   - A try that the caller's deadline or Message.Expires cut short counts as a
//     failure only if it had at least half of Send's time: the routes before may
//     have used up the rest.
//
// # Routes and names
//
// A name always means the same channel. Within one answer of a Router, a name that
// comes again is skipped.
//
// A failover must not be a route of another failover: Message.Route and Tried name
// routes of the outer one, receipts those of the inner one, and neither would find
// the other's. New refuses it; if the routes are not known before Send, the hop is
// Misconfigured. Put the inner routes into the outer Router, which may ask other
// Routers and join their answers.
//
// # Errors
//
// An error of Send is a [channel.Error]. Its class is the most severe class of a hop:
//
//   - Unknown: the message may be out
//   - Expired: no other Send can help
//   - Temporary, Throttled: another Send may help after RetryAfter
//   - InvalidRecipient, Misconfigured, Unreachable, in this order
//
// errors.Is finds [ErrBreakerOpen], and the causes of the channels' own errors. If
// no route could be tried, it finds [channel.ErrNoRoute]. The class is then
// InvalidRecipient if the recipient has no address that any route could use,
// Misconfigured if no route is named Message.Route, and Unreachable otherwise.
//
// The error's text names routes, classes and protocol codes only.
// Submission.Hops holds every hop, also if Send fails.
//
// # Concurrency
//
// A [Channel] is safe for concurrent use. It calls each route's channel by
// [channel.Try], with a copy of the message: a channel that panics, changes its
// message, or ignores its context harms only its own try, which is Unknown. Such
// a channel is named in the log.
//
// If Message.Allow is set, it is asked before each route.
package failover
