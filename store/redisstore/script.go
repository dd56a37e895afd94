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
type script struct{ source, hash string }

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source)) // the name that EVALSHA takes
	return &script{source, hex.EncodeToString(sum[:])}
}

// nonceLen is the length of a nonce.
const nonceLen = 8

// A nonce names one call: 8 bytes, random so that no other process names one
// of its own the same. It is no secret.
func nonce() string {
	return string(binary.BigEndian.AppendUint64(nil, rand.Uint64()))
}
