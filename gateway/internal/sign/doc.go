// Package sign signs the requests of providers whose signature no template can
// express: AWS, Alibaba Cloud, Tencent Cloud, and those that sign sorted parameters.
//
// Each function is called with a request that is complete otherwise, its body, the
// settings of the account, and the time. The settings that a function does not call
// optional must not be empty. A function adds headers or parameters to the request,
// and is to be called once for each try, because the time and, with some, a nonce is
// in the signature. Its error holds no setting and nothing of the body.
//
// The three clouds' signatures have one form: a digest of a canonical request, signed
// with HMAC-SHA-256 under a key that they derive from the secret. The libraries for
// them are the providers' SDKs, so the hundred lines that they have in common are
// written here and held against the providers' published examples.
package sign
