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
// A [channel.Router] picks the routes: [List] always picks the same, [ByCountry] decides
// by the recipient's number, and [ByWeight] draws at random in proportion. A program may
// have its own Router. [Learn] reorders the routes of another Router by their success.
//
// A route is skipped if the message cannot use it: the recipient lacks its kind of
// address, Message.Invalid rules that kind out, Message.Tried names the route, or
// Message.Route is set and names another. Routes in Message.Last are tried after the
// others: a Resend lists there the routes by which no message has arrived.
//
// Two pages in this package's folder say more: ROUTING.md about shares of time, breakers
// and nested failovers; LEARN.md about [Learn].
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
// Route.Classes overrules the class that a channel gives to a protocol code. An error
// without a class is Unknown. After Unknown a person may get the same code twice, by two
// routes: a code that does not come costs more than a code that comes twice.
//
// # Time and breakers
//
// Each route has an equal share of the time until ctx or the code ends. So a route that
// hangs does not use up the time of the next. Each route has a circuit breaker, by name:
// after failures in a row the route is skipped, until a message probes it. If no other
// route takes the message, and it surely was not sent, a skipped route is tried anyway.
//
// A name must always mean the same channel. Within one answer of a Router, a name that
// comes again is skipped.
//
// # Errors
//
// An error of [Channel.Send] is a [channel.Error]. Its class is the most severe class of a
// hop:
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
// A [Channel] is safe for concurrent use. It calls each route's channel by [channel.Try],
// with a copy of the message. So a channel that panics, changes its message, or ignores its
// context harms only its own try, which is Unknown; the log names such a channel. If
// Message.Allow is set, it is called before each route.
package failover
