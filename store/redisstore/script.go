package redisstore

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// A script is Lua that Redis runs in one step. Its first line begins with
// "#!lua": only then does Redis refuse, on a single server too, what a Cluster
// would. All keys that it touches are among its KEYS, and in one slot.
type script struct{ source, hash any }

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source)) // the name that EVALSHA takes
	return &script{source, hex.EncodeToString(sum[:])}
}

// nonceLen is the length of a nonce.
const nonceLen = 8

// A nonce names one call: 8 bytes, random so that no other process names one of
// its own the same, but for the first bit, which is 1. It is no secret.
func nonce() string {
	return stamp(0)[8:]
}

// stamp returns the time of a call, in microseconds since 1970, and its nonce,
// as one argument.
func stamp(micros int64) string {
	var b [8 + nonceLen]byte
	binary.BigEndian.PutUint64(b[:], uint64(micros))
	binary.BigEndian.PutUint64(b[8:], rand.Uint64()|1<<63)
	return string(b[:])
}
