// Package web makes the HTTP requests of the channels below gateway. If a request
// fails, it tells whether the message may have gone out. It bounds the answers
// that it reads, and keeps credentials, codes and numbers out of errors.
package web
