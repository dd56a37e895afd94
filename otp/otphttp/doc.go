// Package otphttp serves a one-time password service over HTTP: JSON in and out,
// errors as problem details (RFC 9457), behind the embedder's own authentication.
//
//	api, err := otphttp.New(otphttp.Config{
//		Service:      svc,                            // an otp.Service
//		Authenticate: func(r *http.Request) (otphttp.Caller, error) { … },
//	})
//	http.Handle("/", api)
//
// The calls, below [Config].Path:
//
//	POST   /verifications              create  subject, purpose, to, …  201 and a Challenge, 202 if it is queued
//	GET    /verifications/{id}         status                           200 and a Challenge
//	POST   /verifications/{id}/resend  resend  route                    200 and a Challenge
//	POST   /verifications/{id}/check   check   code, purpose, binding   200 and a Challenge: the code was right
//	DELETE /verifications/{id}         cancel                           204
//
// Check answers 2xx only for a right code, so a caller that looks only at the status lets
// no wrong code pass. The members of the bodies are the fields of [otp.Request],
// [otp.ResendRequest] and [otp.Verification] in snake case: see [CreateBody], [ResendBody]
// and [CheckBody]. If the [Caller] is a backend, it names the person: by the member
// "subject" or, for status and cancel, by the header Otp-Subject, percent-encoded. The
// subject is not in the URL, since URLs come into logs, and a subject may be an address.
// If the Caller is a person, both are left out.
//
// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07) works for create, resend
// and check: after a lost answer, the same request with the same key has the answer of the
// first, also for a right code. A key belongs to its caller, tenant, subject and purpose;
// for resend and check, to one verification. Create with another address under the same
// key is a conflict.
//
// # Problems
//
// [ProblemOf] turns an error of the Service into an answer by this table. Each answer has
// "type", "title", "status" and "reason". The member "retry_after" has the value of the
// header Retry-After, in seconds, rounded up.
//
//	error      status  reason              more members                title
//	wrong      422     code_refused        attempts_left, retry_after  The code is wrong or has expired.
//	malformed  422     code_refused                                    The code is wrong or has expired.
//	not_found  422     code_refused                                    The code is wrong or has expired.
//	expired    422     code_refused                                    The code is wrong or has expired.
//	closed     422     code_refused                                    The code is wrong or has expired.
//	attempts_exhausted
//	           409     attempts_exhausted                              That was the last try. Ask for a new code.
//	locked     429     locked              retry_after, support        Too many wrong codes. Please come back later.
//	too_soon   429     too_soon            retry_after                 A new message can be sent in a moment.
//	sends_exhausted
//	           409     sends_exhausted     alternatives, support       No more messages. Use another address.
//	limited    429     limited             retry_after, alternatives   Too many messages. Please come back later.
//	step_up    403     step_up             retry_after, alternatives   Please show that you are no machine.
//	guarded    429     guarded             retry_after, alternatives   No message can be sent. Use another address.
//	invalid    422     invalid             errors                      The request is wrong.
//	conflict   422     conflict                                        The Idempotency-Key belongs to another request.
//	undelivered
//	           502     undelivered         retry_after, verification   The message could not be sent.
//	unavailable
//	           503     unavailable         retry_after, verification   Please try again in a moment.
//	full       503     unavailable         retry_after, verification   Please try again in a moment.
//
// Invalid is 400 if a header field is wrong. All calls but check have other answers for
// three of these errors, since nobody guesses a code by them:
//
//	not_found  404     not_found                                       There is no such verification.
//	expired    404     not_found                                       There is no such verification.
//	closed     409     closed                                          It was verified or cancelled.
//
// Requests that do not reach the Service have the reasons unauthorized (401, or the status
// of Authenticate's error), malformed (400), not_found (404), method_not_allowed (405),
// too_large (413) and unsupported_media_type (415).
//
// # For embedders
//
//   - Serve it over TLS, by an http.Server with ReadTimeout: this package bounds the size
//     of a body, not its time.
//   - A page must not hold an API key. For people, Authenticate reads the session's cookie
//     and sets [Caller].Subject, Config.Verified is called after each verification, and
//     http.CrossOriginProtection wraps the Handler.
//   - [otp.Policy].PerIP counts the person's address. A backend passes it as "client_ip";
//     for a person it is the address of the connection, see [Proxies].
package otphttp
