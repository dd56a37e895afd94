// Package failover joins several routes into one [channel.Channel]: it hands a
// message to the best route, and to the next one where that fails, as the
// class of the failure asks.
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
// A [channel.Router] picks the routes: [List] always the same, [ByCountry] by
// the recipient's number, [ByWeight] at random in proportion, or your own.
// Routes that a message cannot use are skipped: a kind of address that the
// recipient lacks or that Message.Invalid rules out, names in Message.Tried,
// and, where Message.Route is set, all of another name.
//
// A failover cannot be a route of another: Message.Route and Tried name
// routes of the outer one, receipts those of the inner one, and neither would
// find the other's. New refuses it, and where the routes are not known before
// Send does, as Misconfigured. Put the inner routes into the outer Router,
// which may ask other Routers and join their answers. The same name always
// means the same channel; within one answer, a name that comes again is
// skipped.
//
// # What follows a failure
//
//	Unknown           next route with the same code, never the same route again;
//	                  Config.StopOnUnknown stops instead
//	Temporary         the same route after a pause (Route.Retry), then the next
//	Throttled         the same, the pause being at least Error.RetryAfter; where
//	                  that is set, one more try even without a Route.Retry
//	Unreachable       next route at once
//	InvalidRecipient  next route that needs another kind of address
//	Misconfigured     next route; logged as an error; the breaker opens
//	Expired           stop
//
// Route.Classes overrules the class that a channel gives to a protocol code,
// before anything else looks at it. An error that has no class is Unknown.
//
// Going on after Unknown may bring a person the same code twice, by two ways.
// That is the default because the code is the same one, and a code that does
// not come costs more than one that comes twice.
//
// # Time
//
// A try ends with ctx, at Message.Expires, or after Config.TryTimeout,
// whichever is first; a channel that then cannot say more answers Unknown, and
// the next route is tried if there is time. To leave time for the last route,
// keep TryTimeout below the caller's deadline divided by the number of routes.
// A pause that could not end before the deadline, or for which a provider asks
// more than Config.MaxPause, is not begun: the next route is tried at once. A
// Throttled that no usable route follows may ask for any pause within the
// deadline. Nothing is tried after ctx or the code has ended.
//
// # Breakers
//
// Each route has a circuit breaker, by name. It opens after
// Breaker.Failures failures in a row, or one Misconfigured, and then the route
// is skipped: its hop is a Temporary with [ErrBreakerOpen] that took no time.
// After Breaker.Open one message is let through as a probe; its success closes
// the breaker, its failure opens it again. Failures are Unknown and Temporary.
// Unreachable and InvalidRecipient count as success, for the route did answer;
// Throttled and Expired count as neither. A try that was cut short counts as
// a failure only if it was the caller's deadline or Message.Expires that ended
// it, not a cancellation, and if it had at least half of the time that Send
// had: the last route is not blamed for what an earlier one left over.
//
// # Errors
//
// An error of Send is a [channel.Error] of the class that the caller must
// reckon with: Unknown if any hop was (the message may be out), else Expired,
// else Temporary or Throttled (worth another Send after RetryAfter), else
// InvalidRecipient, Misconfigured, Unreachable. errors.Is finds
// [channel.ErrNoRoute] where no route could be tried at all (InvalidRecipient
// if the recipient has no address that any route could use, Misconfigured if
// Message.Route is the name of none, else Unreachable), [ErrBreakerOpen], and
// what the channels' own errors wrap. Its text names routes, classes and
// protocol codes only. Submission.Attempts tells every hop, beside an error
// too.
//
// # Concurrency
//
// A [Channel] is safe for concurrent use and has no goroutines: channels are
// called on the caller's. So a channel that ignores its context holds up Send,
// and a panic in a channel is the caller's panic; the breaker counts it as a
// failure.
package failover
