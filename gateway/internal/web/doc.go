// Package web makes the HTTP requests of package gateway: it knows whether a
// message may have gone out when a request fails, bounds what is read, and
// keeps credentials, codes and numbers out of errors.
package web
