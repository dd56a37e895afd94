// Package telemetry observes one-time passwords by OpenTelemetry: metrics, spans,
// and trace IDs in logs. It is a module of its own that depends on OpenTelemetry's
// API and on no SDK.
//
//	t, err := telemetry.New(telemetry.Config{
//		MeterProvider:  otel.GetMeterProvider(),
//		TracerProvider: otel.GetTracerProvider(),
//		Countries:      []string{"GB", "FR"},
//		Purposes:       []string{"login", "payment"},
//	})
//	routes, err := failover.New(failover.Config{Router: failover.List(t.Route(sms), t.Route(mail))})
//	codes, err := otp.New(otp.Config{Channel: routes, Store: store, Events: t.Events(audit), … })
//	registration, err := t.Observe(telemetry.Sources{Health: routes.Health, Queue: store})
//	service := t.Service(codes) // spans around Send, Resend, Verify and Cancel
//
// Each part works without the others. Package smpptelemetry observes SMPP binds.
//
// # Metrics
//
//	otp.challenges                       counter, {challenge}: otp.purpose, geo.country.iso_code
//	otp.messages                         counter, {message}: otp.route, otp.state, geo.country.iso_code, error.type
//	otp.route.choices                    counter, {message}, of those that a route took: otp.route,
//	                                     otp.route.position, otp.route.explored
//	otp.verifications                    counter, {verification}: otp.outcome, otp.reason, otp.route, otp.purpose,
//	                                     geo.country.iso_code
//	otp.refusals                         counter, {request}: otp.operation, otp.reason
//	otp.verification.duration            histogram, s, from the Send to the right code: otp.route
//	otp.delivery.duration                histogram, s, from submission to Delivered, of the latest message of a
//	                                     challenge: otp.route
//	otp.message.cost                     counter, the unit is Config.Currency: otp.route, geo.country.iso_code,
//	                                     otp.currency
//	messaging.client.operation.duration  histogram, s, of each try of a route: messaging.system,
//	                                     messaging.operation.name, messaging.operation.type,
//	                                     messaging.destination.name (the route), error.type
//	otp.route.status                     1 for the state that a breaker is in, else 0: otp.route, otp.route.state
//	otp.queue.job.count                  {job}: otp.queue.state
//	otp.queue.age                        s, how long the oldest job that is due has waited
//	smpp.session.status                  {session}: otp.route, smpp.session.state, smpp.session.role
//
// An attribute that has no value is left out: a message that found no route has no
// otp.route. The values are
//
//	otp.state               sent, failed, delivered
//	otp.outcome             verified, rejected
//	otp.operation           of otp.Operation
//	otp.reason              of otp.Reason
//	otp.route.position      of the route in the order given to the failover: 1 to 8, more
//	otp.route.explored      true if the route came first to learn of it, see failover.Learn; else left out
//	otp.route.state         up, open
//	otp.queue.state         high, normal, low, delayed, running, dead
//	smpp.session.state      bound, connecting, refused
//	smpp.session.role       sender, receiver
//	error.type              of channel.Class; of a receipt: undelivered
//	messaging.system        smpp, smtp, http, other
//
// Purposes, countries and routes are the values that the Config lists, and routes that
// were passed to Route. Any other is "other", so that nobody who sends requests can
// add series.
//
// Fixed codes and decoys count in otp.refusals only, since nothing is sent for
// them.
//
// The folder ops has alert rules for Prometheus (alerts.yml, with their tests) and a
// dashboard for Grafana (grafana.json).
//
// # Spans
//
//	otp.send, otp.resend, otp.verify, otp.cancel   INTERNAL: otp.challenge.id, otp.reason
//	send ROUTE                                     CLIENT, one for each try: messaging.message.id, error.type
//	receipt ROUTE                                  CONSUMER: otp.challenge.id, otp.state
//
// If a worker sends a message later, or another process takes its receipt, their spans
// begin traces of their own. They have a link to the span of the Send or Resend: a
// Service of this package sets an empty RequestID to the W3C traceparent of its span.
//
// # Secrecy
//
// No metric and no span holds a code, an address, a subject, a binding or the text
// of an error.
//
// # Cost
//
// Without an SDK an event allocates nothing and takes some 40 ns. Without a
// TracerProvider the wrappers of Route and Service allocate nothing either.
//
// # Concurrency
//
// Everything here is safe for concurrent use.
package telemetry
